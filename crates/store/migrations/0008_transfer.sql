-- What went into sandboxes and came out of them as files.

ALTER TABLE usage ADD COLUMN uploaded_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN downloaded_bytes BIGINT NOT NULL DEFAULT 0;
