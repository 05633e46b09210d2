-- Portable column types, so that PostgreSQL takes the same text: ids TEXT, times BIGINT (milliseconds since
-- 1970), JSON TEXT, flags INTEGER. Every row says whose it is, where, in which generation, since when and
-- until when.

CREATE TABLE sandbox (
    id            TEXT    NOT NULL PRIMARY KEY,
    tenant_id     TEXT    NOT NULL,
    node_id       TEXT,
    generation    BIGINT  NOT NULL,
    phase         TEXT    NOT NULL CHECK (phase IN ('pending', 'booting', 'running', 'stopping', 'finished')),
    ending        TEXT,
    engine        TEXT,
    engine_reason TEXT    NOT NULL,
    spec          TEXT    NOT NULL,
    message       TEXT    NOT NULL,
    token         BLOB    NOT NULL,
    one_shot      INTEGER NOT NULL,
    created_at    BIGINT  NOT NULL,
    expires_at    BIGINT  NOT NULL,
    finished_at   BIGINT,
    -- Retention goes by finished_at: a finished sandbox without it would stay for ever.
    CHECK ((phase = 'finished') = (finished_at IS NOT NULL))
);

CREATE INDEX sandbox_by_tenant ON sandbox (tenant_id, id);
CREATE INDEX sandbox_unfinished ON sandbox (id) WHERE phase <> 'finished';
CREATE INDEX sandbox_finished ON sandbox (finished_at) WHERE phase = 'finished';

CREATE TABLE execution (
    id                TEXT   NOT NULL PRIMARY KEY,
    sandbox_id        TEXT   NOT NULL REFERENCES sandbox (id),
    tenant_id         TEXT   NOT NULL,
    node_id           TEXT,
    generation        BIGINT NOT NULL,
    command           TEXT   NOT NULL,
    state             TEXT   NOT NULL CHECK (state IN ('running', 'finished')),
    outcome           TEXT,
    exit_code         BIGINT,
    signal            BIGINT,
    duration_us       BIGINT,
    cpu_us            BIGINT,
    memory_peak_bytes BIGINT,
    -- Output is in the row, or in a file when the place says so.
    stdout_place      TEXT,
    stdout_total      BIGINT,
    stdout_stored     BIGINT,
    stdout            BLOB,
    stderr_place      TEXT,
    stderr_total      BIGINT,
    stderr_stored     BIGINT,
    stderr            BLOB,
    created_at        BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    finished_at       BIGINT
);

CREATE INDEX execution_by_tenant ON execution (tenant_id, id);
CREATE INDEX execution_by_sandbox ON execution (sandbox_id, id);
CREATE INDEX execution_running ON execution (id) WHERE state = 'running';

CREATE TABLE api_key (
    id           TEXT   NOT NULL PRIMARY KEY,
    tenant_id    TEXT   NOT NULL,
    node_id      TEXT,
    generation   BIGINT NOT NULL,
    name         TEXT   NOT NULL,
    role         TEXT   NOT NULL,
    secret_hash  BLOB   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT
);

CREATE TABLE event (
    -- AUTOINCREMENT: the cursor of a removed event never comes back.
    cursor       INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id    TEXT    NOT NULL,
    node_id      TEXT,
    generation   BIGINT  NOT NULL,
    name         TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    sandbox_id   TEXT,
    execution_id TEXT,
    message      TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    expires_at   BIGINT
);

CREATE INDEX event_by_tenant ON event (tenant_id, cursor);
CREATE INDEX event_by_sandbox ON event (sandbox_id, cursor) WHERE sandbox_id IS NOT NULL;
-- Events of no sandbox go by their age.
CREATE INDEX event_without_sandbox ON event (created_at) WHERE sandbox_id IS NULL;

-- One row per server: its generation counts the proofs that writes are taken.
CREATE TABLE heartbeat (
    node_id    TEXT   NOT NULL PRIMARY KEY,
    tenant_id  TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
