-- What each component of a plugin did, over all runs.
CREATE TABLE plugin_use (
    plugin   TEXT NOT NULL,
    digest   TEXT NOT NULL,
    calls    INTEGER NOT NULL,
    devices  INTEGER NOT NULL,
    micros   INTEGER NOT NULL,
    fuel     INTEGER NOT NULL,
    held     INTEGER NOT NULL,
    faults   INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    PRIMARY KEY (plugin, digest)
) STRICT, WITHOUT ROWID;

-- Plugins that failed on all they were asked lately; one that works has no row.
CREATE TABLE plugin_health (
    plugin   TEXT NOT NULL,
    token    TEXT NOT NULL, -- whose devices it fails on: others are not to suffer for it
    mark     TEXT NOT NULL, -- of component and settings: with another one, all is forgiven
    failures INTEGER NOT NULL,
    rests    INTEGER NOT NULL,
    until    INTEGER,
    why      TEXT NOT NULL,
    PRIMARY KEY (plugin, token)
) STRICT, WITHOUT ROWID;
