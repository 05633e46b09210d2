//! One job against the tables.

use sentinal_model::{Error, ExecutionId, Generation, Result, SandboxId};
use sqlx::{SqliteConnection, sqlite::SqliteQueryResult};

use super::{
    failure, remove,
    writer::{Done, Job},
};
use crate::{
    ExecutionRecord, KeyRecord, NewEvent, SandboxRecord, Write, check,
    row::{EventRow, ExecutionRow, KeyRow, SandboxRow},
};

/// Why a job was not applied.
#[derive(Debug)]
pub(super) enum Refused {
    /// For what it says; nobody else's job is concerned.
    Job(Error),
    /// For what happened to the connection.
    Connection(sqlx::Error),
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        if failure::is_of_the_row(&error) { Self::Job(Error::internal(&error)) } else { Self::Connection(error) }
    }
}

/// Applies all jobs; `None` as soon as one is refused, with the ones before it applied.
pub(super) async fn all(
    connection: &mut SqliteConnection,
    jobs: impl Iterator<Item = &Job>,
) -> sqlx::Result<Option<Vec<Done>>> {
    let mut all_done = Vec::new();
    for job in jobs {
        match apply(connection, job).await {
            Ok(done) => all_done.push(done),
            Err(Refused::Job(_)) => return Ok(None),
            Err(Refused::Connection(error)) => return Err(error),
        }
    }
    Ok(Some(all_done))
}

/// Applies each job as a whole or not at all; one that is refused is no trouble to the others.
pub(super) async fn each(
    connection: &mut SqliteConnection,
    jobs: impl Iterator<Item = &Job>,
) -> sqlx::Result<Vec<Result<Done>>> {
    let mut outcomes = Vec::new();
    for job in jobs {
        outcomes.push(whole(connection, job).await?);
    }
    Ok(outcomes)
}

async fn whole(connection: &mut SqliteConnection, job: &Job) -> sqlx::Result<Result<Done>> {
    sqlx::query("SAVEPOINT job").execute(&mut *connection).await?;
    let outcome = match apply(connection, job).await {
        Ok(done) => Ok(done),
        Err(Refused::Connection(error)) => return Err(error),
        Err(Refused::Job(error)) => {
            sqlx::query("ROLLBACK TO job").execute(&mut *connection).await?;
            Err(error)
        }
    };
    sqlx::query("RELEASE job").execute(connection).await?;
    Ok(outcome)
}

async fn apply(connection: &mut SqliteConnection, job: &Job) -> std::result::Result<Done, Refused> {
    match job {
        Job::Write(writes) => {
            for change in writes {
                write(connection, change).await?;
            }
            Ok(Done::default())
        }
        Job::Remove(removal) => remove::step(connection, removal).await,
        Job::TouchKey(id, at) => {
            let touch = sqlx::query("UPDATE api_key SET last_used_at = $2 WHERE id = $1");
            touch.bind(id.to_string()).bind(at.0).execute(connection).await?;
            Ok(Done::default())
        }
        Job::Heartbeat => {
            sqlx::query(HEARTBEAT).execute(connection).await?;
            Ok(Done::default())
        }
    }
}

async fn write(connection: &mut SqliteConnection, write: &Write) -> std::result::Result<(), Refused> {
    match write {
        Write::Sandbox(record) => sandbox(connection, record).await,
        Write::Execution(record) => execution(connection, record).await,
        Write::Key(record) => key(connection, record).await,
        Write::RevokeKey { id, at } => {
            let revoke = sqlx::query("UPDATE api_key SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL");
            revoke.bind(id.to_string()).bind(at.0).execute(connection).await?;
            Ok(())
        }
        Write::Event(event) => {
            append(connection, event).await?;
            Ok(())
        }
    }
}

const HEARTBEAT: &str = "INSERT INTO heartbeat (node_id, tenant_id, generation, created_at) VALUES ('local', 'default', 1, 0) \
     ON CONFLICT (node_id) DO UPDATE SET generation = heartbeat.generation + 1";

const SANDBOX: &str = "INSERT INTO sandbox (id, tenant_id, node_id, generation, phase, ending, engine, engine_reason, spec, \
     message, token, one_shot, created_at, expires_at, finished_at, paused_at, paused_ms, pooled) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
     ON CONFLICT (id) DO UPDATE SET tenant_id = excluded.tenant_id, node_id = excluded.node_id, \
     generation = excluded.generation, pooled = excluded.pooled, \
     phase = excluded.phase, ending = excluded.ending, engine = excluded.engine, \
     engine_reason = excluded.engine_reason, spec = excluded.spec, message = excluded.message, \
     token = excluded.token, one_shot = excluded.one_shot, created_at = excluded.created_at, \
     expires_at = excluded.expires_at, finished_at = excluded.finished_at, paused_at = excluded.paused_at, \
     paused_ms = excluded.paused_ms \
     WHERE sandbox.generation <= excluded.generation \
     AND (sandbox.tenant_id = excluded.tenant_id OR sandbox.pooled IS NOT NULL) \
     AND (sandbox.phase <> 'finished' OR excluded.phase = 'finished')";

async fn sandbox(connection: &mut SqliteConnection, record: &SandboxRecord) -> std::result::Result<(), Refused> {
    let row = SandboxRow::from(record);
    let upsert = sqlx::query(SANDBOX)
        .bind(row.id)
        .bind(row.tenant_id)
        .bind(row.node_id)
        .bind(row.generation)
        .bind(row.phase)
        .bind(row.ending)
        .bind(row.engine)
        .bind(row.engine_reason)
        .bind(row.spec)
        .bind(row.message)
        .bind(row.token)
        .bind(row.one_shot)
        .bind(row.created_at)
        .bind(row.expires_at)
        .bind(row.finished_at)
        .bind(row.paused_at)
        .bind(row.paused_ms)
        .bind(row.pooled);
    if upsert.execute(&mut *connection).await?.rows_affected() == 1 {
        return Ok(());
    }
    Err(Refused::Job(stale(connection, record.id, record.generation).await?))
}

/// Says what the store has instead.
async fn stale(connection: &mut SqliteConnection, id: SandboxId, written: Generation) -> sqlx::Result<Error> {
    let stored = sqlx::query_as("SELECT phase, generation FROM sandbox WHERE id = $1").bind(id.to_string());
    let (phase, generation): (String, i64) = stored.fetch_one(connection).await?;
    Ok(check::stale_sandbox(id, written, Generation(u64::try_from(generation).unwrap_or(0)), &phase))
}

// Where it runs, and in which generation of its sandbox it was written, is taken from the sandbox; without one
// nothing is inserted.
const EXECUTION: &str = "INSERT INTO execution (id, sandbox_id, tenant_id, command, state, outcome, exit_code, signal, \
     duration_us, cpu_us, memory_peak_bytes, stdout_place, stdout_total, stdout_stored, stdout, stderr_place, \
     stderr_total, stderr_stored, stderr, created_at, expires_at, finished_at, node_id, generation) \
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
     sandbox.node_id, sandbox.generation FROM sandbox WHERE sandbox.id = $2 \
     ON CONFLICT (id) DO UPDATE SET command = excluded.command, state = excluded.state, outcome = excluded.outcome, \
     exit_code = excluded.exit_code, signal = excluded.signal, duration_us = excluded.duration_us, \
     cpu_us = excluded.cpu_us, memory_peak_bytes = excluded.memory_peak_bytes, \
     stdout_place = excluded.stdout_place, stdout_total = excluded.stdout_total, \
     stdout_stored = excluded.stdout_stored, stdout = excluded.stdout, stderr_place = excluded.stderr_place, \
     stderr_total = excluded.stderr_total, stderr_stored = excluded.stderr_stored, stderr = excluded.stderr, \
     created_at = excluded.created_at, expires_at = excluded.expires_at, finished_at = excluded.finished_at, \
     node_id = excluded.node_id, generation = excluded.generation \
     WHERE execution.state <> 'finished'";

async fn execution(connection: &mut SqliteConnection, record: &ExecutionRecord) -> std::result::Result<(), Refused> {
    let row = ExecutionRow::from(record);
    let upsert = sqlx::query(EXECUTION)
        .bind(row.id)
        .bind(row.sandbox_id)
        .bind(row.tenant_id)
        .bind(row.command)
        .bind(row.state)
        .bind(row.outcome)
        .bind(row.exit_code)
        .bind(row.signal)
        .bind(row.duration_us)
        .bind(row.cpu_us)
        .bind(row.memory_peak_bytes)
        .bind(row.stdout_place)
        .bind(row.stdout_total)
        .bind(row.stdout_stored)
        .bind(row.stdout)
        .bind(row.stderr_place)
        .bind(row.stderr_total)
        .bind(row.stderr_stored)
        .bind(row.stderr)
        .bind(row.created_at)
        .bind(row.expires_at)
        .bind(row.finished_at);
    let is_stored = upsert.execute(&mut *connection).await?.rows_affected() == 1;
    if is_stored || has_finished(connection, record.id).await? {
        return Ok(());
    }
    Err(Refused::Job(check::orphan_execution(record.id, record.sandbox)))
}

async fn has_finished(connection: &mut SqliteConnection, id: ExecutionId) -> sqlx::Result<bool> {
    let found = sqlx::query("SELECT 1 FROM execution WHERE id = $1 AND state = 'finished'").bind(id.to_string());
    Ok(found.fetch_optional(connection).await?.is_some())
}

const KEY: &str = "INSERT INTO api_key (id, tenant_id, generation, name, role, secret_hash, created_at, expires_at) \
     VALUES ($1, $2, 1, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING";

async fn key(connection: &mut SqliteConnection, record: &KeyRecord) -> std::result::Result<(), Refused> {
    let row = KeyRow::from(record);
    let insert = sqlx::query(KEY)
        .bind(row.id)
        .bind(row.tenant_id)
        .bind(row.name)
        .bind(row.role)
        .bind(row.secret_hash)
        .bind(row.created_at)
        .bind(row.expires_at);
    match insert.execute(connection).await?.rows_affected() {
        0 => Err(Refused::Job(check::known_key(record.id))),
        _ => Ok(()),
    }
}

const EVENT: &str = "INSERT INTO event (tenant_id, name, kind, sandbox_id, execution_id, message, created_at, generation, node_id) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, COALESCE((SELECT generation FROM sandbox WHERE id = $4), 0), \
     (SELECT node_id FROM sandbox WHERE id = $4))";

async fn append(connection: &mut SqliteConnection, event: &NewEvent) -> sqlx::Result<SqliteQueryResult> {
    let row = EventRow::new(0, event);
    sqlx::query(EVENT)
        .bind(row.tenant_id)
        .bind(row.name)
        .bind(row.kind)
        .bind(row.sandbox_id)
        .bind(row.execution_id)
        .bind(row.message)
        .bind(row.created_at)
        .execute(connection)
        .await
}
