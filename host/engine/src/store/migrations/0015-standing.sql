-- A million devices are a few hundred kinds, and stand in a few ways. So what they have in common is written
-- once, and each device says which. A device's number begins with the number of its token: those of one token
-- lie together, in the order in which they came.

-- Whose devices these are. Set when a token is imported; tokens are renamed, their numbers stay.
ALTER TABLE token ADD COLUMN number INTEGER;
-- Devices up to this one can be found by their serial numbers. Those of a first fetch are entered together,
-- sorted, when all are there; until then nobody sees them.
ALTER TABLE token ADD COLUMN keyed INTEGER NOT NULL DEFAULT 0;
UPDATE token SET number = (SELECT count(*) FROM token t WHERE t.name <= token.name);
CREATE UNIQUE INDEX token_by_number ON token (number);
CREATE TRIGGER token_came AFTER INSERT ON token BEGIN
    UPDATE token SET number = (SELECT coalesce(max(number), 0) + 1 FROM token) WHERE name = NEW.name;
    UPDATE token SET keyed = number << 32 WHERE name = NEW.name;
END;

-- What many devices have in common.
CREATE TABLE kind (
    id                 INTEGER PRIMARY KEY,
    model              TEXT,
    description        TEXT,
    color              TEXT,
    os                 TEXT,
    device_family      TEXT,
    device_assigned_by TEXT
) STRICT;
INSERT INTO kind (model, description, color, os, device_family, device_assigned_by)
SELECT DISTINCT model, description, color, os, device_family, device_assigned_by FROM device;
CREATE INDEX kind_by_words ON kind (description, color, device_assigned_by);

-- When, in which run and in which round of fetching devices were first listed.
CREATE TABLE arrival (
    id       INTEGER PRIMARY KEY,
    seen_at  INTEGER, -- null for those of before there was a history
    seen_run TEXT,
    round    INTEGER NOT NULL
) STRICT;
INSERT INTO arrival (seen_at, seen_run, round) SELECT DISTINCT seen_at, seen_run, round FROM device;

-- What a policy said, in all its words.
CREATE TABLE opinion (
    id         INTEGER PRIMARY KEY,
    decision   TEXT NOT NULL CHECK (decision IN ('assign', 'hold', 'ignore')),
    profile    TEXT,
    hold_until INTEGER,
    reason     TEXT NOT NULL,
    fault      INTEGER NOT NULL,
    policy     TEXT NOT NULL
) STRICT;
INSERT INTO opinion (decision, profile, hold_until, reason, fault, policy)
SELECT decision, profile, hold_until, reason, fault, policy FROM verdict
UNION SELECT decision, profile, hold_until, reason, fault, policy FROM shadow_verdict
UNION SELECT decision, profile, hold_until, reason, fault, policy FROM verdict_history;
CREATE INDEX opinion_by_words ON opinion (reason, profile, hold_until);

-- In which run a policy said it, and by which component.
CREATE TABLE asking (
    id         INTEGER PRIMARY KEY,
    run        TEXT NOT NULL,
    digest     TEXT NOT NULL,
    decided_at INTEGER NOT NULL
) STRICT;
INSERT INTO asking (run, digest, decided_at)
SELECT run, digest, decided_at FROM verdict UNION SELECT run, digest, decided_at FROM shadow_verdict
UNION SELECT run, digest, decided_at FROM verdict_history;
CREATE INDEX asking_by_run ON asking (run, digest);

-- How devices stand: what Apple and we say of their profile, what a policy wants, and how many stand so. Gone
-- when the last of them stands otherwise.
CREATE TABLE standing (
    id             INTEGER PRIMARY KEY,
    token          INTEGER NOT NULL, -- its number
    gone           INTEGER NOT NULL,
    profile_status TEXT NOT NULL,
    profile_uuid   TEXT,
    ours_profile   TEXT,
    opinion        INTEGER, -- null where nobody was asked
    devices        INTEGER NOT NULL
) STRICT;
CREATE INDEX standing_by_words ON standing (token, opinion, profile_uuid);

-- What a device is. Seldom written again.
CREATE TABLE device_record (
    id                   INTEGER PRIMARY KEY, -- the token's number in the upper half; means nothing outside this file
    serial_number        TEXT NOT NULL,
    kind                 INTEGER NOT NULL,
    arrival              INTEGER NOT NULL,
    asset_tag            TEXT,
    device_assigned_date INTEGER,
    extra                TEXT -- JSON; null if there is nothing more
) STRICT;

-- How it stands. Written again and again, so it is small.
CREATE TABLE device_state (
    device              INTEGER PRIMARY KEY,
    standing            INTEGER NOT NULL,
    asking              INTEGER, -- null where nobody was asked
    ours_at             INTEGER,
    changed_at          INTEGER,
    profile_assign_time INTEGER,
    profile_push_time   INTEGER
) STRICT;

CREATE TABLE serial (
    token         INTEGER NOT NULL, -- its number
    serial_number TEXT NOT NULL,
    device        INTEGER NOT NULL,
    PRIMARY KEY (token, serial_number)
) STRICT, WITHOUT ROWID;

-- Devices that Apple would not assign, and for how long they are left alone.
CREATE TABLE pause (
    device     INTEGER PRIMARY KEY,
    wait_until INTEGER NOT NULL,
    wait_why   TEXT NOT NULL CHECK (wait_why IN ('failed', 'throttled', 'not-accessible')),
    wait_times INTEGER NOT NULL -- refusals in a row
) STRICT;

-- The new number of each device there is.
CREATE TEMP TABLE renumbered (old INTEGER PRIMARY KEY, new INTEGER NOT NULL);
INSERT INTO renumbered
SELECT d.id, (t.number << 32) + row_number() OVER (PARTITION BY d.token ORDER BY d.id)
FROM device d JOIN token t ON t.name = d.token;

INSERT INTO standing (token, gone, profile_status, profile_uuid, ours_profile, opinion, devices)
SELECT t.number, gone, profile_status, profile_uuid, ours_profile, o.id, count(*)
FROM device d JOIN token t ON t.name = d.token LEFT JOIN verdict v ON v.device = d.id
    LEFT JOIN opinion o ON o.reason = v.reason AND o.profile IS v.profile
        AND o.hold_until IS v.hold_until AND (o.decision, o.fault, o.policy) IS (v.decision, v.fault, v.policy)
GROUP BY 1, 2, 3, 4, 5, 6;
INSERT INTO device_record (id, serial_number, kind, arrival, asset_tag, device_assigned_date, extra)
SELECT n.new, serial_number, k.id, a.id, asset_tag, device_assigned_date, extra
FROM device d JOIN renumbered n ON n.old = d.id
    JOIN kind k ON k.description IS d.description AND k.color IS d.color
        AND k.device_assigned_by IS d.device_assigned_by
        AND (k.model, k.os, k.device_family) IS (d.model, d.os, d.device_family)
    JOIN arrival a ON (a.seen_at, a.seen_run, a.round) IS (d.seen_at, d.seen_run, d.round)
ORDER BY n.new;
INSERT INTO device_state (device, standing, asking, ours_at, changed_at, profile_assign_time, profile_push_time)
SELECT n.new, g.id, s.id, ours_at, changed_at, profile_assign_time, profile_push_time
FROM device d JOIN renumbered n ON n.old = d.id LEFT JOIN verdict v ON v.device = d.id
    LEFT JOIN opinion o ON o.reason = v.reason AND o.profile IS v.profile
        AND o.hold_until IS v.hold_until AND (o.decision, o.fault, o.policy) IS (v.decision, v.fault, v.policy)
    LEFT JOIN asking s ON s.run = v.run AND s.digest = v.digest AND s.decided_at = v.decided_at
    JOIN standing g ON (g.token, g.gone, g.profile_status, g.profile_uuid, g.ours_profile, g.opinion)
        IS (n.new >> 32, d.gone, d.profile_status, d.profile_uuid, d.ours_profile, o.id);
INSERT INTO serial (token, serial_number, device)
SELECT id >> 32, serial_number, id FROM device_record ORDER BY 1, 2;
INSERT INTO pause (device, wait_until, wait_why, wait_times)
SELECT n.new, wait_until, wait_why, wait_times FROM device d JOIN renumbered n ON n.old = d.id
WHERE wait_until IS NOT NULL AND wait_why IS NOT NULL;
UPDATE token SET keyed = max(number << 32,
    coalesce((SELECT max(id) FROM device_record r
              WHERE r.id > number << 32 AND r.id < (number + 1) << 32), 0));

CREATE TABLE listing_new (
    device INTEGER PRIMARY KEY,
    round  INTEGER NOT NULL
) STRICT;
INSERT INTO listing_new SELECT new, round FROM listing JOIN renumbered ON old = device ORDER BY new;

CREATE TABLE device_history_new (
    device  INTEGER NOT NULL,
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
SELECT new, number, kind, seen_at, run, at, fields, before, ended
FROM device_history JOIN renumbered ON old = device ORDER BY new, number;

-- Verdicts that others took the place of.
CREATE TABLE verdict_history_new (
    device  INTEGER NOT NULL,
    number  INTEGER NOT NULL, -- in the order they were given
    opinion INTEGER NOT NULL,
    asking  INTEGER NOT NULL,
    PRIMARY KEY (device, number)
) STRICT, WITHOUT ROWID;
INSERT INTO verdict_history_new
SELECT new, number, o.id, s.id
FROM verdict_history v JOIN renumbered ON old = device
    JOIN opinion o ON o.reason = v.reason AND o.profile IS v.profile
        AND o.hold_until IS v.hold_until AND (o.decision, o.fault, o.policy) IS (v.decision, v.fault, v.policy)
    JOIN asking s ON s.run = v.run AND s.digest = v.digest AND s.decided_at = v.decided_at
ORDER BY new, number;

-- What policies say in shadow mode: no reason for what is there.
CREATE TABLE shadow_state (
    device  INTEGER PRIMARY KEY,
    opinion INTEGER NOT NULL,
    asking  INTEGER NOT NULL
) STRICT;
INSERT INTO shadow_state
SELECT new, o.id, s.id
FROM shadow_verdict v JOIN renumbered ON old = device
    JOIN opinion o ON o.reason = v.reason AND o.profile IS v.profile
        AND o.hold_until IS v.hold_until AND (o.decision, o.fault, o.policy) IS (v.decision, v.fault, v.policy)
    JOIN asking s ON s.run = v.run AND s.digest = v.digest AND s.decided_at = v.decided_at
ORDER BY new;

-- A plan of a run, or what a person had taken away by one.
CREATE TABLE plan (
    id    INTEGER PRIMARY KEY,
    run   TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    token TEXT NOT NULL,
    place INTEGER -- in the run's workflow, of the step that made it; null for what is no plan
) STRICT;
INSERT INTO plan (run, token, place) SELECT run, token, place FROM action GROUP BY 1, 2, 3 ORDER BY min(id);
CREATE INDEX plan_of_run ON plan (run, token);

-- What a plan does to many devices, and why.
CREATE TABLE deed (
    id        INTEGER PRIMARY KEY,
    plan      INTEGER NOT NULL REFERENCES plan (id) ON DELETE CASCADE,
    kind      TEXT NOT NULL CHECK (kind IN ('assign', 'unassign', 'disown')),
    profile   TEXT NOT NULL, -- empty where we have no name for it
    to_uuid   TEXT, -- this very profile of Apple's, whatever the file of that name says; null where the file counts
    from_uuid TEXT,
    reason    TEXT NOT NULL
) STRICT;
INSERT INTO deed (plan, kind, profile, to_uuid, from_uuid, reason)
SELECT DISTINCT p.id, kind, profile, to_uuid, from_uuid, reason
FROM action a JOIN plan p ON p.run = a.run AND p.token = a.token AND p.place IS a.place;
CREATE INDEX deed_of_plan ON deed (plan, reason);

-- What became of actions that were sent together, or are not to be sent.
CREATE TABLE outcome (
    id          INTEGER PRIMARY KEY,
    plan        INTEGER NOT NULL REFERENCES plan (id) ON DELETE CASCADE,
    state       TEXT NOT NULL
        CHECK (state IN ('sent', 'succeeded', 'failed', 'throttled', 'not-accessible', 'dropped')),
    uuid        TEXT,    -- the profile that was sent
    sent_at     INTEGER, -- null for what was never sent, or before that was kept
    answered_at INTEGER,
    first       INTEGER NOT NULL, -- none of its actions is before this one
    last        INTEGER NOT NULL  -- nor after this one
) STRICT;
INSERT INTO outcome (plan, state, uuid, sent_at, answered_at, first, last)
SELECT DISTINCT p.id, state, uuid, sent_at, answered_at, p.id << 32, (p.id << 32) + 4294967295
FROM action a JOIN plan p ON p.run = a.run AND p.token = a.token AND p.place IS a.place
WHERE state <> 'planned';
CREATE INDEX outcome_of_plan ON outcome (plan, sent_at, answered_at);
CREATE INDEX outcome_in_flight ON outcome (plan) WHERE state = 'sent';

-- One device in a plan. Here before it is sent; without an outcome until then.
CREATE TABLE action_record (
    id      INTEGER PRIMARY KEY, -- the plan's number in the upper half
    device  INTEGER NOT NULL,
    deed    INTEGER NOT NULL,
    outcome INTEGER
) STRICT;
INSERT INTO action_record (id, device, deed, outcome)
SELECT (p.id << 32) + row_number() OVER (PARTITION BY p.id ORDER BY a.id), n.new, e.id, o.id
FROM action a JOIN renumbered n ON n.old = a.device
    JOIN plan p ON p.run = a.run AND p.token = a.token AND p.place IS a.place
    JOIN deed e ON e.plan = p.id AND e.reason = a.reason
        AND (e.kind, e.profile, e.to_uuid, e.from_uuid) IS (a.kind, a.profile, a.to_uuid, a.from_uuid)
    LEFT JOIN outcome o ON o.plan = p.id AND o.sent_at IS a.sent_at AND o.answered_at IS a.answered_at
        AND (o.state, o.uuid) IS (a.state, a.uuid)
ORDER BY 1;
CREATE TRIGGER plan_forgotten AFTER DELETE ON plan BEGIN
    DELETE FROM action_record WHERE id >= OLD.id << 32 AND id < (OLD.id + 1) << 32;
END;

DROP TRIGGER verdict_changed;
DROP TABLE action;
DROP TABLE verdict;
DROP TABLE shadow_verdict;
DROP TABLE verdict_history;
DROP TABLE device_history;
DROP TABLE listing;
DROP TABLE device;
DROP TABLE renumbered;
CREATE INDEX action_of_device ON action_record (device);
ALTER TABLE verdict_history_new RENAME TO verdict_history;
ALTER TABLE device_history_new RENAME TO device_history;
ALTER TABLE listing_new RENAME TO listing;
-- Rounds of forgetting begin anew: the numbers they had come to are others now.
UPDATE keeping SET place = 0 WHERE what IN ('actions', 'device-history', 'verdicts');

-- What is of a device goes with it. No foreign keys: they would look for the device at every row that is
-- written, a million times in a first run, and each row is written by what has just found its device.
CREATE TRIGGER device_forgotten AFTER DELETE ON device_record BEGIN
    DELETE FROM device_state WHERE device = OLD.id;
    DELETE FROM serial WHERE token = OLD.id >> 32 AND serial_number = OLD.serial_number AND device = OLD.id;
    DELETE FROM pause WHERE device = OLD.id;
    DELETE FROM listing WHERE device = OLD.id;
    DELETE FROM device_history WHERE device = OLD.id;
    DELETE FROM verdict_history WHERE device = OLD.id;
    DELETE FROM shadow_state WHERE device = OLD.id;
    DELETE FROM action_record WHERE device = OLD.id;
END;
-- What is of a token goes with it.
CREATE TRIGGER token_forgotten AFTER DELETE ON token BEGIN
    DELETE FROM device_record WHERE id > OLD.number << 32 AND id < (OLD.number + 1) << 32;
    DELETE FROM standing WHERE token = OLD.number;
    DELETE FROM plan WHERE token = OLD.name;
    DELETE FROM look WHERE token = OLD.number;
    DELETE FROM device_change WHERE token = OLD.number;
END;

-- The last look at all devices of a token: on what basis they were decided about, and for how long that lasts.
CREATE TABLE look (
    token  INTEGER PRIMARY KEY, -- its number
    basis  TEXT NOT NULL,    -- the digest of all that verdicts follow from besides devices; empty while it goes on
    at     INTEGER NOT NULL,
    always INTEGER NOT NULL, -- verdicts do not depend on the time,
    until  INTEGER,          -- or not before this
    mark   INTEGER NOT NULL  -- changes up to this one have been looked at
) STRICT;
-- Which devices have changed since.
CREATE TABLE device_change (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    token  INTEGER NOT NULL, -- its number
    first  INTEGER NOT NULL, -- device
    last   INTEGER NOT NULL
) STRICT;
CREATE INDEX device_change_of_token ON device_change (token, number);

-- Whole devices, verdicts and actions, for whoever looks at a few.
CREATE VIEW numbered_device AS
SELECT r.id, r.serial_number, k.model, k.description, k.color, r.asset_tag, k.os, k.device_family, g.profile_status,
    g.profile_uuid, n.profile_assign_time, n.profile_push_time, k.device_assigned_by, r.device_assigned_date, r.extra,
    g.gone, n.changed_at, g.ours_profile, n.ours_at, p.wait_until, p.wait_why, coalesce(p.wait_times, 0) AS wait_times,
    a.seen_at, a.seen_run, a.round, n.standing, g.opinion
FROM device_record r
    JOIN device_state n ON n.device = r.id
    JOIN standing g ON g.id = n.standing
    JOIN kind k ON k.id = r.kind
    JOIN arrival a ON a.id = r.arrival
    LEFT JOIN pause p ON p.device = r.id;

-- By token and serial number, so without those of a first fetch that is not through.
CREATE VIEW device AS
SELECT t.name AS token, d.*
FROM token t JOIN serial s ON s.token = t.number JOIN numbered_device d ON d.id = s.device;

CREATE VIEW verdict AS
SELECT n.device, o.decision, o.profile, o.hold_until, o.reason, o.fault, o.policy, s.digest, s.run, s.decided_at
FROM device_state n JOIN standing g ON g.id = n.standing JOIN opinion o ON o.id = g.opinion
    JOIN asking s ON s.id = n.asking;

CREATE VIEW shadow_verdict AS
SELECT n.device, o.decision, o.profile, o.hold_until, o.reason, o.fault, o.policy, s.digest, s.run, s.decided_at
FROM shadow_state n JOIN opinion o ON o.id = n.opinion JOIN asking s ON s.id = n.asking;

CREATE VIEW earlier_verdict AS
SELECT v.device, v.number, o.decision, o.profile, o.hold_until, o.reason, o.fault, o.policy, s.digest, s.run,
    s.decided_at
FROM verdict_history v JOIN opinion o ON o.id = v.opinion JOIN asking s ON s.id = v.asking;

CREATE VIEW action AS
SELECT a.id, p.run, p.token, p.place, a.device, e.kind, e.profile, e.to_uuid, e.from_uuid, e.reason,
    coalesce(o.state, 'planned') AS state, o.uuid, o.sent_at, o.answered_at
FROM action_record a
    JOIN plan p ON p.id = a.id >> 32 AND a.id >= p.id << 32 AND a.id < (p.id + 1) << 32
    JOIN deed e ON e.id = a.deed
    LEFT JOIN outcome o ON o.id = a.outcome;
