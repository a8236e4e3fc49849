-- What happened to devices at Apple, and why those that Apple refused are left alone for a while.

CREATE TABLE device_event (
    token         TEXT NOT NULL,
    serial_number TEXT NOT NULL,
    number        INTEGER NOT NULL, -- in the order they were seen
    kind          TEXT NOT NULL CHECK (kind IN ('changed', 'gone', 'returned')),
    seen_at       INTEGER NOT NULL,
    run           TEXT NOT NULL,    -- in which it was seen; runs may be forgotten sooner
    at            INTEGER,          -- by Apple's clock
    fields        TEXT,             -- JSON; null if it is not about fields
    PRIMARY KEY (token, serial_number, number),
    FOREIGN KEY (token, serial_number) REFERENCES device (token, serial_number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- When a device was listed for the first time: with the device, because every device has it.
ALTER TABLE device ADD COLUMN seen_at INTEGER;
ALTER TABLE device ADD COLUMN seen_run TEXT;

ALTER TABLE device ADD COLUMN wait_why TEXT CHECK (wait_why IN ('failed', 'throttled', 'not-accessible'));
ALTER TABLE device ADD COLUMN wait_times INTEGER NOT NULL DEFAULT 0; -- refusals in a row
UPDATE device SET wait_why = 'failed', wait_times = 1 WHERE wait_until IS NOT NULL;

-- The most devices in one assignment, if the account says so.
ALTER TABLE token ADD COLUMN assign_limit INTEGER;

-- When every device was last fetched.
ALTER TABLE token ADD COLUMN full_at INTEGER;
UPDATE token SET full_at = synced_at WHERE phase = 'sync';
