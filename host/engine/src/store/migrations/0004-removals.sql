-- Not every action assigns: a person may take a device's profile away, or release the device.
-- `profile` is empty then, and so is `uuid`.
ALTER TABLE action ADD COLUMN kind TEXT NOT NULL DEFAULT 'assign'
    CHECK (kind IN ('assign', 'unassign', 'disown'));
