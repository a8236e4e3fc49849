-- What Apple was sent to define a profile, so that it can be compared later. Null for those of before.
ALTER TABLE profile ADD COLUMN body TEXT; -- JSON
