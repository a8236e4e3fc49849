-- All pages of the fetch that goes on are stored: what is left is to enter what came and to see what did not.
ALTER TABLE token ADD COLUMN fetched INTEGER NOT NULL DEFAULT 0;
