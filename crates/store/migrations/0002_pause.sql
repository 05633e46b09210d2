-- A paused sandbox is a running one that does not go on: its phase stays 'running', and paused_at says since when.
ALTER TABLE sandbox ADD COLUMN paused_at BIGINT;
-- How long it was paused before that, in milliseconds.
ALTER TABLE sandbox ADD COLUMN paused_ms BIGINT NOT NULL DEFAULT 0;
