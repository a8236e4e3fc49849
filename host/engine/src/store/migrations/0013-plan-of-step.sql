-- The place, in its run's workflow, of the step that planned it: what tells the plans of one run and token
-- apart. Null for what no plan holds, and for actions of before.
ALTER TABLE action ADD COLUMN place INTEGER;
