-- Where events are delivered to, and how far each webhook is: the events themselves are the queue.

CREATE TABLE webhook (
    id              TEXT    NOT NULL PRIMARY KEY,
    tenant_id       TEXT    NOT NULL,
    node_id         TEXT,
    generation      BIGINT  NOT NULL,
    url             TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    -- Names of events, as JSON; NULL is all.
    events          TEXT,
    -- What deliveries are signed with: whoever can read this file can sign.
    secret          BLOB    NOT NULL,
    enabled         INTEGER NOT NULL,
    disabled_reason TEXT    NOT NULL,
    -- The last event that is over for it.
    position        BIGINT  NOT NULL,
    -- Of the first event after that.
    failures        BIGINT  NOT NULL,
    retry_at        BIGINT,
    failing_since   BIGINT,
    given_up        BIGINT  NOT NULL,
    -- Events that retention removed before they were over for it.
    lost            BIGINT  NOT NULL,
    created_at      BIGINT  NOT NULL,
    expires_at      BIGINT
);

CREATE INDEX webhook_by_tenant ON webhook (tenant_id, id);

-- Its last attempts. `number` is never used again, as with events.
CREATE TABLE webhook_delivery (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id  TEXT    NOT NULL REFERENCES webhook (id),
    tenant_id   TEXT    NOT NULL,
    node_id     TEXT,
    generation  BIGINT  NOT NULL,
    event       BIGINT  NOT NULL,
    name        TEXT    NOT NULL,
    attempt     BIGINT  NOT NULL,
    result      TEXT    NOT NULL CHECK (result IN ('delivered', 'failed', 'given_up')),
    status      BIGINT,
    error       TEXT    NOT NULL,
    duration_us BIGINT  NOT NULL,
    retry_at    BIGINT,
    created_at  BIGINT  NOT NULL,
    expires_at  BIGINT
);

CREATE INDEX webhook_delivery_by_webhook ON webhook_delivery (webhook_id, number);

-- A request may have made a webhook.
CREATE TABLE idempotency_of_all (
    tenant_id    TEXT   NOT NULL,
    key          TEXT   NOT NULL,
    node_id      TEXT,
    generation   BIGINT NOT NULL,
    -- SHA-256 of what was asked for.
    request      BLOB   NOT NULL,
    sandbox_id   TEXT,
    execution_id TEXT,
    webhook_id   TEXT,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    PRIMARY KEY (tenant_id, key),
    CHECK (CASE WHEN sandbox_id IS NULL THEN 0 ELSE 1 END + CASE WHEN execution_id IS NULL THEN 0 ELSE 1 END
        + CASE WHEN webhook_id IS NULL THEN 0 ELSE 1 END = 1)
);

INSERT INTO idempotency_of_all (tenant_id, key, node_id, generation, request, sandbox_id, execution_id, created_at, expires_at)
    SELECT tenant_id, key, node_id, generation, request, sandbox_id, execution_id, created_at, expires_at FROM idempotency;
DROP TABLE idempotency;
ALTER TABLE idempotency_of_all RENAME TO idempotency;
CREATE INDEX idempotency_by_age ON idempotency (created_at);
