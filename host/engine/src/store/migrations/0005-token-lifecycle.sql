-- A token may come without the key it was asked for with: moved in from another program. It belongs to
-- an organisation; what Apple said of it last is remembered, and since when.

CREATE TABLE token_new (
    name          TEXT PRIMARY KEY,
    server_name   TEXT NOT NULL,
    server_uuid   TEXT NOT NULL,
    org_name      TEXT NOT NULL,
    org_id        TEXT, -- null if Apple never told
    admin_id      TEXT NOT NULL,
    expires_at    INTEGER NOT NULL,
    imported_at   INTEGER NOT NULL,
    credentials   BLOB NOT NULL, -- sealed
    key_id        TEXT REFERENCES token_key (id),
    page_limit    INTEGER,
    assign_limit  INTEGER,
    cursor        TEXT,
    phase         TEXT NOT NULL DEFAULT 'fetch' CHECK (phase IN ('fetch', 'sync')),
    fetch_round   INTEGER NOT NULL DEFAULT 0,
    synced_at     INTEGER,
    full_at       INTEGER,
    healed_at     INTEGER,
    worked_at     INTEGER, -- the last session that worked
    refused       TEXT,    -- why Apple refuses it; null if it does not, or nothing is known
    refused_since INTEGER,
    refused_at    INTEGER  -- when that was last heard
) STRICT;
INSERT INTO token_new (name, server_name, server_uuid, org_name, admin_id, expires_at, imported_at, credentials,
    key_id, page_limit, assign_limit, cursor, phase, fetch_round, synced_at, full_at, healed_at, worked_at)
SELECT name, server_name, server_uuid, org_name, admin_id, expires_at, imported_at, credentials,
    key_id, page_limit, assign_limit, cursor, phase, fetch_round, synced_at, full_at, healed_at, synced_at
FROM token;
DROP TABLE token;
ALTER TABLE token_new RENAME TO token;

-- The token before the one in use, kept until that one has worked.
CREATE TABLE token_before (
    token       TEXT PRIMARY KEY REFERENCES token (name) ON DELETE CASCADE,
    admin_id    TEXT NOT NULL,
    expires_at  INTEGER NOT NULL,
    imported_at INTEGER NOT NULL,
    replaced_at INTEGER NOT NULL,
    credentials BLOB NOT NULL, -- sealed
    key_id      TEXT REFERENCES token_key (id)
) STRICT, WITHOUT ROWID;
