-- Sandboxes that wait, booted, for whoever asks for their like: what each was booted from, as JSON; NULL once it is
-- somebody's. Until then its tenant is the empty one, which no key has.

ALTER TABLE sandbox ADD COLUMN pooled TEXT;

-- Lists go by creation. An id is made when a sandbox is booted, which for one from a pool is earlier.
DROP INDEX IF EXISTS sandbox_by_tenant;
CREATE INDEX sandbox_by_creation ON sandbox (tenant_id, created_at, id);
