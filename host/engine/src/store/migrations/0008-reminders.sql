-- The smallest threshold that a channel was told of an instance of a fact. `instance` is one of end, trouble and
-- only; `at` is that end, or when the trouble began.
CREATE TABLE told (
    token     TEXT NOT NULL,
    kind      TEXT NOT NULL,
    name      TEXT NOT NULL, -- empty where there is one of its kind
    channel   TEXT NOT NULL,
    instance  TEXT NOT NULL CHECK (instance IN ('end', 'trouble', 'only')),
    at        INTEGER NOT NULL,
    threshold INTEGER NOT NULL, -- seconds before `at`
    run       TEXT NOT NULL,
    told_at   INTEGER NOT NULL,
    PRIMARY KEY (token, kind, name, channel, instance, at)
) STRICT, WITHOUT ROWID;
-- What was told of tokens in use; of earlier ones it is over.
INSERT INTO told (token, kind, name, channel, instance, at, threshold, run, told_at)
SELECT r.token, 'token', '', r.channel, 'end', r.expires_at, min(r.threshold) / 1000, r.run, r.sent_at
FROM reminder r JOIN token t ON t.name = r.token AND t.expires_at = r.expires_at
GROUP BY r.token, r.channel, r.expires_at;
DROP TABLE reminder;

-- That somebody knows, or wants to hear nothing for a while: of a fact, or, without a kind, of all of a token.
CREATE TABLE muted (
    token         TEXT NOT NULL,
    kind          TEXT NOT NULL,
    name          TEXT NOT NULL,
    instance      TEXT CHECK (instance IN ('end', 'trouble', 'only')), -- what they know of; null if they only want peace
    at            INTEGER,
    snoozed_until INTEGER,
    note          TEXT NOT NULL,
    muted_at      INTEGER NOT NULL,
    PRIMARY KEY (token, kind, name)
) STRICT, WITHOUT ROWID;

-- The certificates of web servers that profiles point to, as they were seen last.
CREATE TABLE web_certificate (
    server    TEXT PRIMARY KEY, -- host:port
    ends_at   INTEGER, -- null if it was never seen
    looked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
