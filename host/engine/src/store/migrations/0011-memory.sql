-- What was is not only told, it can be worked out again: a device as it was when a run decided about it, what
-- was said of it before, and what a policy was told besides. And what people were told of, so that they are
-- told once.

CREATE TABLE device_history_new (
    device  INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    number  INTEGER NOT NULL, -- in the order they were seen
    kind    TEXT NOT NULL CHECK (kind IN ('changed', 'gone', 'returned', 'shown', 'not-shown', 'done')),
    seen_at INTEGER NOT NULL,
    run     TEXT NOT NULL,    -- in which it was seen; runs may be forgotten sooner
    at      INTEGER,          -- by Apple's clock
    fields  TEXT,             -- JSON; null if it is not about fields
    before  TEXT,             -- JSON: the profile by Apple's word until then, where the rest is the echo of what we did
    ended   INTEGER NOT NULL DEFAULT 0, -- our own assignment counted until then, and no longer
    PRIMARY KEY (device, number)
) STRICT, WITHOUT ROWID;
INSERT INTO device_history_new
SELECT device, number, kind, seen_at, run, at, fields, NULL,
    kind <> 'changed' OR coalesce(instr(fields, '"profile_') > 0, 0)
FROM device_history;
DROP TABLE device_history;
ALTER TABLE device_history_new RENAME TO device_history;

-- Verdicts that others took the place of.
CREATE TABLE verdict_history (
    device     INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL, -- in the order they were given
    decision   TEXT NOT NULL,
    profile    TEXT,
    hold_until INTEGER,
    reason     TEXT NOT NULL,
    fault      INTEGER NOT NULL,
    policy     TEXT NOT NULL,
    digest     TEXT NOT NULL,
    run        TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    PRIMARY KEY (device, number)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER verdict_changed AFTER UPDATE ON verdict BEGIN
    INSERT INTO verdict_history (device, number, decision, profile, hold_until, reason, fault, policy, digest,
        run, decided_at)
    VALUES (OLD.device,
        (SELECT coalesce(max(number), 0) + 1 FROM verdict_history WHERE device = OLD.device),
        OLD.decision, OLD.profile, OLD.hold_until, OLD.reason, OLD.fault, OLD.policy, OLD.digest, OLD.run,
        OLD.decided_at);
END;

-- When it went out. Null for what was never sent, and for actions of before.
ALTER TABLE action ADD COLUMN sent_at INTEGER;

CREATE INDEX step_decided ON step (token, started_at) WHERE uses = 'decide';

-- What policies were told besides devices and tables, once for each wording: settings, names of profiles.
CREATE TABLE text_copy (
    digest  TEXT PRIMARY KEY,
    body    TEXT NOT NULL,
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a channel was told is wrong, and is not over: nobody is told the same at every run.
CREATE TABLE said (
    topic   TEXT NOT NULL CHECK (topic IN ('run', 'fresh', 'late', 'ping')),
    name    TEXT NOT NULL, -- of the workflow, or of what is late
    token   TEXT NOT NULL, -- empty for a run as a whole
    channel TEXT NOT NULL,
    kind    TEXT NOT NULL,
    said_at INTEGER NOT NULL,
    PRIMARY KEY (topic, name, token, channel)
) STRICT, WITHOUT ROWID;

-- How far the forgetting of old things is, and when it was last through.
CREATE TABLE keeping (
    what     TEXT PRIMARY KEY,
    place    INTEGER NOT NULL,
    ended_at INTEGER
) STRICT, WITHOUT ROWID;
-- Since when the history is whole: the echo of what we did was not kept before.
INSERT INTO keeping (what, place) VALUES ('whole-since', CAST(unixepoch('subsec') * 1000 AS INTEGER));
