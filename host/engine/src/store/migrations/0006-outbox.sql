-- What people are to know. Kept until it is delivered or given up everywhere, and a while longer.
CREATE TABLE message (
    id         TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    body       TEXT NOT NULL -- JSON
) STRICT, WITHOUT ROWID;

-- A message on its way to one recipient of one channel. Those who wait for the same recipient go in the order of
-- their numbers.
CREATE TABLE delivery (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    message   TEXT NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    channel   TEXT NOT NULL,
    recipient TEXT NOT NULL, -- an address; empty where the channel itself is one
    state     TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'set-aside', 'dropped')),
    tries     INTEGER NOT NULL DEFAULT 0,
    next_at   INTEGER NOT NULL DEFAULT 0, -- not before
    trouble   TEXT, -- of the last try
    ended_at  INTEGER,
    -- Put in twice, it is sent once.
    UNIQUE (message, channel, recipient)
) STRICT;
CREATE INDEX delivery_waiting ON delivery (channel, recipient, number) WHERE state = 'waiting';
CREATE INDEX delivery_ended ON delivery (ended_at) WHERE ended_at IS NOT NULL;

-- How it goes with a channel as a whole: whether it can be reached.
CREATE TABLE channel (
    name          TEXT PRIMARY KEY,
    delivered_at  INTEGER, -- the last time something arrived
    failing_since INTEGER,
    failures      INTEGER NOT NULL DEFAULT 0, -- in a row
    next_at       INTEGER NOT NULL DEFAULT 0, -- not before
    trouble       TEXT -- JSON
) STRICT, WITHOUT ROWID;
