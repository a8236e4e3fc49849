-- Times are milliseconds since 1970, UTC. Ids do not depend on this file, so that rows of several
-- databases can be brought together later.

-- A sealed word known beforehand: tells a wrong key when the store is opened, not when it is used.
CREATE TABLE key_check (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    sealed BLOB NOT NULL
) STRICT;

-- Key pairs made for Apple's portal. Kept until used or forgotten: the token that comes back can
-- only be read with the very key it was asked for with.
CREATE TABLE token_key (
    id          TEXT PRIMARY KEY,
    token       TEXT NOT NULL,
    certificate TEXT NOT NULL,
    private_key BLOB NOT NULL, -- sealed
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX token_key_by_token ON token_key (token, created_at);

CREATE TABLE token (
    name        TEXT PRIMARY KEY,
    server_name TEXT NOT NULL,
    server_uuid TEXT NOT NULL,
    org_name    TEXT NOT NULL,
    admin_id    TEXT NOT NULL,
    expires_at  INTEGER NOT NULL,
    imported_at INTEGER NOT NULL,
    credentials BLOB NOT NULL, -- sealed
    key_id      TEXT NOT NULL REFERENCES token_key (id),
    page_limit  INTEGER,
    cursor      TEXT,
    phase       TEXT NOT NULL DEFAULT 'fetch' CHECK (phase IN ('fetch', 'sync')),
    fetch_round INTEGER NOT NULL DEFAULT 0,
    synced_at   INTEGER
) STRICT;

CREATE TABLE device (
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
    fetch_round          INTEGER NOT NULL, -- of the full fetch that last listed it
    ours_profile         TEXT,
    ours_at              INTEGER,
    wait_until           INTEGER,
    PRIMARY KEY (token, serial_number)
) STRICT, WITHOUT ROWID;

-- What was ever defined at Apple. Apple never forgets a profile, and devices may be on an old one.
CREATE TABLE profile (
    token      TEXT NOT NULL REFERENCES token (name) ON DELETE CASCADE,
    uuid       TEXT NOT NULL,
    name       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    defined_at INTEGER NOT NULL,
    PRIMARY KEY (token, uuid)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    id           TEXT PRIMARY KEY,
    workflow     TEXT NOT NULL,
    trigger      TEXT NOT NULL, -- JSON
    scheduled_at INTEGER,
    dry          INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    state        TEXT NOT NULL
) STRICT;
-- Whoever inserts the row for a scheduled time carries it out; nobody can twice.
CREATE UNIQUE INDEX run_by_time ON run (workflow, scheduled_at) WHERE scheduled_at IS NOT NULL;
CREATE INDEX run_open ON run (id) WHERE state = 'running';

CREATE TABLE step (
    run        TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL, -- in the order they began
    place      INTEGER NOT NULL, -- in the workflow
    uses       TEXT NOT NULL,
    token      TEXT,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    outcome    TEXT, -- JSON
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

-- The last verdict on each device, rewritten only when it changes.
CREATE TABLE verdict (
    token         TEXT NOT NULL,
    serial_number TEXT NOT NULL,
    decision      TEXT NOT NULL CHECK (decision IN ('assign', 'hold', 'ignore')),
    profile       TEXT,
    hold_until    INTEGER,
    reason        TEXT NOT NULL,
    fault         INTEGER NOT NULL,
    policy        TEXT NOT NULL,
    digest        TEXT NOT NULL,
    run           TEXT NOT NULL,
    decided_at    INTEGER NOT NULL,
    PRIMARY KEY (token, serial_number),
    FOREIGN KEY (token, serial_number) REFERENCES device (token, serial_number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What runs did, or were about to do, to devices. An action is here before it is sent.
CREATE TABLE action (
    run           TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    token         TEXT NOT NULL,
    serial_number TEXT NOT NULL,
    profile       TEXT NOT NULL,
    from_uuid     TEXT,
    reason        TEXT NOT NULL,
    state         TEXT NOT NULL DEFAULT 'planned'
        CHECK (state IN ('planned', 'sent', 'succeeded', 'failed', 'throttled', 'not-accessible', 'dropped')),
    uuid          TEXT, -- the profile that was sent
    answered_at   INTEGER,
    PRIMARY KEY (run, token, serial_number)
) STRICT, WITHOUT ROWID;
CREATE INDEX action_by_device ON action (token, serial_number);
CREATE INDEX action_in_flight ON action (token) WHERE state = 'sent';

-- Which reminder arrived where. A renewed token has another end, so it starts anew.
CREATE TABLE reminder (
    token      TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    threshold  INTEGER NOT NULL, -- milliseconds before the end
    channel    TEXT NOT NULL,
    run        TEXT NOT NULL,
    sent_at    INTEGER NOT NULL,
    PRIMARY KEY (token, expires_at, threshold, channel)
) STRICT, WITHOUT ROWID;
