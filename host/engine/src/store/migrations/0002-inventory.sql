-- Devices, verdicts and actions are appended, and found by number: serial numbers come in no order, and
-- a table sorted by them is written all over for every page of Apple's. What happened to a device is
-- remembered, and why one that Apple refused is left alone for a while.

CREATE TABLE device_new (
    id                   INTEGER PRIMARY KEY, -- means nothing outside this file
    token                TEXT NOT NULL REFERENCES token (name) ON DELETE CASCADE,
    serial_number        TEXT NOT NULL,
    model                TEXT,
    description          TEXT,
    color                TEXT,
    asset_tag            TEXT,
    os                   TEXT,
    device_family        TEXT,
    profile_status       TEXT NOT NULL,
    profile_uuid         TEXT,
    profile_assign_time  INTEGER,
    profile_push_time    INTEGER,
    device_assigned_by   TEXT,
    device_assigned_date INTEGER,
    extra                TEXT, -- JSON; null if there is nothing more
    gone                 INTEGER NOT NULL DEFAULT 0,
    changed_at           INTEGER,
    ours_profile         TEXT,
    ours_at              INTEGER,
    wait_until           INTEGER,
    wait_why             TEXT CHECK (wait_why IN ('failed', 'throttled', 'not-accessible')),
    wait_times           INTEGER NOT NULL DEFAULT 0, -- refusals in a row
    seen_at              INTEGER, -- first listed; null for those of before there was a history
    seen_run             TEXT,    -- and in which run
    round                INTEGER NOT NULL, -- of the full fetch in which it came
    UNIQUE (token, serial_number)
) STRICT;
INSERT INTO device_new (token, serial_number, model, description, color, asset_tag, os, device_family,
    profile_status, profile_uuid, profile_assign_time, profile_push_time, device_assigned_by,
    device_assigned_date, extra, gone, changed_at, ours_profile, ours_at, wait_until, wait_why, wait_times,
    round)
SELECT token, serial_number, model, description, color, asset_tag, os, device_family,
    profile_status, profile_uuid, profile_assign_time, profile_push_time, device_assigned_by,
    device_assigned_date, extra, gone, changed_at, ours_profile, ours_at,
    wait_until, iif(wait_until IS NULL, NULL, 'failed'), wait_until IS NOT NULL, fetch_round
FROM device ORDER BY token, serial_number;
CREATE INDEX device_of_token ON device_new (token, gone);

-- Which full fetch last listed a device that had come before: apart, so that a list in which nothing is
-- new writes little.
CREATE TABLE listing (
    device INTEGER PRIMARY KEY REFERENCES device_new (id) ON DELETE CASCADE,
    round  INTEGER NOT NULL
) STRICT;

CREATE TABLE device_history (
    device  INTEGER NOT NULL REFERENCES device_new (id) ON DELETE CASCADE,
    number  INTEGER NOT NULL, -- in the order they were seen
    kind    TEXT NOT NULL CHECK (kind IN ('changed', 'gone', 'returned')),
    seen_at INTEGER NOT NULL,
    run     TEXT NOT NULL,    -- in which it was seen; runs may be forgotten sooner
    at      INTEGER,          -- by Apple's clock
    fields  TEXT,             -- JSON; null if it is not about fields
    PRIMARY KEY (device, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE verdict_new (
    device     INTEGER PRIMARY KEY REFERENCES device_new (id) ON DELETE CASCADE,
    decision   TEXT NOT NULL CHECK (decision IN ('assign', 'hold', 'ignore')),
    profile    TEXT,
    hold_until INTEGER,
    reason     TEXT NOT NULL,
    fault      INTEGER NOT NULL,
    policy     TEXT NOT NULL,
    digest     TEXT NOT NULL,
    run        TEXT NOT NULL,
    decided_at INTEGER NOT NULL
) STRICT;
INSERT INTO verdict_new
SELECT n.id, decision, profile, hold_until, reason, fault, policy, digest, run, decided_at
FROM verdict JOIN device_new n USING (token, serial_number);

CREATE TABLE action_new (
    id          INTEGER PRIMARY KEY,
    run         TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    token       TEXT NOT NULL,
    device      INTEGER NOT NULL REFERENCES device_new (id) ON DELETE CASCADE,
    profile     TEXT NOT NULL,
    from_uuid   TEXT,
    reason      TEXT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'planned'
        CHECK (state IN ('planned', 'sent', 'succeeded', 'failed', 'throttled', 'not-accessible', 'dropped')),
    uuid        TEXT, -- the profile that was sent
    answered_at INTEGER
) STRICT;
INSERT INTO action_new (run, token, device, profile, from_uuid, reason, state, uuid, answered_at)
SELECT run, a.token, n.id, a.profile, from_uuid, reason, state, uuid, answered_at
FROM action a JOIN device_new n ON n.token = a.token AND n.serial_number = a.serial_number
ORDER BY run, a.token, a.serial_number;

DROP TABLE verdict;
DROP TABLE action;
DROP TABLE device;
ALTER TABLE device_new RENAME TO device;
ALTER TABLE verdict_new RENAME TO verdict;
ALTER TABLE action_new RENAME TO action;
CREATE INDEX action_of_run ON action (run, token);
CREATE INDEX action_planned ON action (run, token, profile) WHERE state = 'planned';
CREATE INDEX action_of_device ON action (device);
CREATE INDEX action_in_flight ON action (token, device) WHERE state = 'sent';

-- The most devices in one assignment, if the account says so.
ALTER TABLE token ADD COLUMN assign_limit INTEGER;

-- When every device was last fetched.
ALTER TABLE token ADD COLUMN full_at INTEGER;
UPDATE token SET full_at = synced_at WHERE phase = 'sync';

-- When they were last fetched although nobody had asked for it, because the cursor was of no use.
ALTER TABLE token ADD COLUMN healed_at INTEGER;
