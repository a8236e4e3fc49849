-- Plans that wait for a person's word, and what came of them. The newest of a step for a token counts; at
-- most one of these is open.
CREATE TABLE waiting (
    number   INTEGER PRIMARY KEY,
    run      TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE, -- that asked
    workflow TEXT NOT NULL,
    token    TEXT NOT NULL,
    place    INTEGER NOT NULL, -- in the workflow, of the step that made the plan
    plan     TEXT NOT NULL,    -- its digest
    reviewed INTEGER NOT NULL, -- its review had its say before a person was asked
    since    INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    came_to  TEXT CHECK (came_to IN ('approved', 'refused', 'lapsed', 'replaced')),
    ended_at INTEGER,
    by_run   TEXT -- which carried it out, or took its place
) STRICT;
CREATE UNIQUE INDEX waiting_open ON waiting (workflow, token, place) WHERE came_to IS NULL;
CREATE INDEX waiting_of_run ON waiting (run);

-- A run that decides and records, and sends nothing.
ALTER TABLE run ADD COLUMN shadow INTEGER NOT NULL DEFAULT 0;

-- What policies say in such runs: no reason for what is there. Otherwise like `verdict`.
CREATE TABLE shadow_verdict (
    device     INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
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

-- This very profile of Apple's, whatever the file of that name says; null where the file counts. `profile`
-- is empty where we have no name for it.
ALTER TABLE action ADD COLUMN to_uuid TEXT;
