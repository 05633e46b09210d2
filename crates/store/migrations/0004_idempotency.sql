-- What a request with an idempotency key has made, so that the same request again makes nothing more.

CREATE TABLE idempotency (
    tenant_id    TEXT   NOT NULL,
    key          TEXT   NOT NULL,
    node_id      TEXT,
    generation   BIGINT NOT NULL,
    -- SHA-256 of what was asked for.
    request      BLOB   NOT NULL,
    sandbox_id   TEXT,
    execution_id TEXT,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    PRIMARY KEY (tenant_id, key),
    CHECK ((sandbox_id IS NULL) <> (execution_id IS NULL))
);

CREATE INDEX idempotency_by_age ON idempotency (created_at);
