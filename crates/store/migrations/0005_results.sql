-- What code in a context made beside its output, as JSON; NULL without anything.

ALTER TABLE execution ADD COLUMN results TEXT;
