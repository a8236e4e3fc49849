-- What the workflow calls a step, where that is not the word for what it does.
ALTER TABLE step ADD COLUMN id TEXT;
