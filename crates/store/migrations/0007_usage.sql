-- What was used, added up by the hour: it outlives the records that it came from. An amount is added in the transaction
-- that says in a record up to where it was counted, so that nothing is counted twice.

CREATE TABLE usage (
    tenant_id           TEXT   NOT NULL,
    -- When the hour begins.
    hour                BIGINT NOT NULL,
    engine              TEXT   NOT NULL,
    -- The key with which it was asked for; empty where nobody knows.
    key_id              TEXT   NOT NULL,
    sandboxes           BIGINT NOT NULL,
    sandbox_ms          BIGINT NOT NULL,
    cpu_us              BIGINT NOT NULL,
    memory_mib_ms       BIGINT NOT NULL,
    executions_exited   BIGINT NOT NULL,
    executions_signaled BIGINT NOT NULL,
    executions_timeout  BIGINT NOT NULL,
    executions_oom      BIGINT NOT NULL,
    executions_killed   BIGINT NOT NULL,
    output_bytes        BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, hour, engine, key_id)
);

CREATE INDEX usage_by_age ON usage (hour);

-- With which key each was asked for.
ALTER TABLE sandbox ADD COLUMN key_id TEXT;
ALTER TABLE execution ADD COLUMN key_id TEXT;
-- Up to which moment, and up to how much cpu time, a sandbox is in the sums; NULL while it is nobody's.
ALTER TABLE sandbox ADD COLUMN metered_at BIGINT;
ALTER TABLE sandbox ADD COLUMN metered_cpu_us BIGINT NOT NULL DEFAULT 0;
