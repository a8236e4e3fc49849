-- How far the schedule of each workflow is dealt with: everything up to `upto` is on record in `run`. The
-- schedule is the one that was in force then, since a file that changes makes no promises about the past.
CREATE TABLE schedule (
    workflow   TEXT PRIMARY KEY,
    expression TEXT NOT NULL, -- '' if that is not known
    timezone   TEXT NOT NULL,
    enabled    INTEGER NOT NULL,
    upto       INTEGER NOT NULL,
    queued     INTEGER -- a time that waits for the end of the run that is going on
) STRICT;
INSERT INTO schedule (workflow, expression, timezone, enabled, upto)
    SELECT workflow, '', '', 1, max(scheduled_at) FROM run WHERE scheduled_at IS NOT NULL GROUP BY workflow;

-- Workflows that a person keeps from running on their schedule.
CREATE TABLE workflow_pause (
    workflow TEXT PRIMARY KEY,
    who      TEXT NOT NULL,
    reason   TEXT NOT NULL,
    since    INTEGER NOT NULL,
    until    INTEGER
) STRICT;

-- What the daemon has to say for itself, to whoever asks from outside.
CREATE TABLE daemon (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    read_at    INTEGER NOT NULL, -- when it took up the configuration it works with
    mistakes   TEXT,             -- what is wrong with the files as they are now
    mistakes_at INTEGER
) STRICT;

-- Of a row that stands for times at which nothing was run: which and why, as JSON. `scheduled_at` is the
-- last of them.
ALTER TABLE run ADD COLUMN skipped TEXT;
-- The newest runs, and the newest of a workflow, however many there are.
CREATE INDEX run_by_start ON run (started_at, id);
CREATE INDEX run_by_workflow ON run (workflow, started_at, id);
