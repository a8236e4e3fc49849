-- What a person said of a plan that waits: who, when and why. It counts until the plan was carried out.
ALTER TABLE waiting ADD COLUMN answered_by TEXT;
ALTER TABLE waiting ADD COLUMN answered_at INTEGER;
ALTER TABLE waiting ADD COLUMN answered_reason TEXT;
ALTER TABLE waiting ADD COLUMN begun_by TEXT; -- the run that has begun to carry it out
ALTER TABLE waiting ADD COLUMN span INTEGER NOT NULL DEFAULT 0; -- for so long it waits: from the asking, then from the approval
UPDATE waiting SET span = until - since;

-- The step is known by what its workflow calls it. Its place is that in the run that asked.
ALTER TABLE waiting ADD COLUMN step TEXT NOT NULL DEFAULT 'plan';
UPDATE waiting SET step = coalesce(
    (SELECT s.id FROM step s WHERE s.run = waiting.run AND s.token = waiting.token AND s.place = waiting.place),
    (SELECT iif(count(*) = 0, 'plan', 'plan-' || (count(*) + 1)) FROM step s
     WHERE s.run = waiting.run AND s.token = waiting.token AND s.uses = 'plan' AND s.place < waiting.place));
DROP INDEX waiting_open;
CREATE UNIQUE INDEX waiting_open ON waiting (workflow, token, step) WHERE came_to IS NULL;
