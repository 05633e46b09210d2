//! One job against the tables.

pub(super) mod webhook;

use rusqlite::{Connection, params};
use sentinal_model::{Error, ExecutionId, Generation, Result, SandboxId};

use super::{
    failure, remove, usage,
    writer::{Done, Job},
};
use crate::{
    ExecutionRecord, IdempotencyRecord, KeyRecord, NewEvent, SandboxRecord, Write, check,
    meter::Meter,
    row::{EventRow, ExecutionRow, IdempotencyRow, KeyRow, SandboxRow},
};

/// Why a job was not applied.
#[derive(Debug)]
pub(super) enum Refused {
    /// For what it says; nobody else's job is concerned.
    Job(Error),
    /// For what happened to the connection.
    Connection(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        if failure::is_of_the_row(&error) { Self::Job(Error::internal(&error)) } else { Self::Connection(error) }
    }
}

/// Applies all jobs; `None` as soon as one is refused, with the ones before it applied.
pub(super) fn all<'a>(
    connection: &Connection,
    jobs: impl Iterator<Item = &'a Job>,
) -> rusqlite::Result<Option<Vec<Done>>> {
    let mut all_done = Vec::new();
    for job in jobs {
        match apply(connection, job) {
            Ok(done) => all_done.push(done),
            Err(Refused::Job(_)) => return Ok(None),
            Err(Refused::Connection(error)) => return Err(error),
        }
    }
    Ok(Some(all_done))
}

/// Applies each job as a whole or not at all; one that is refused is no trouble to the others.
pub(super) fn each<'a>(
    connection: &Connection,
    jobs: impl Iterator<Item = &'a Job>,
) -> rusqlite::Result<Vec<Result<Done>>> {
    let mut outcomes = Vec::new();
    for job in jobs {
        outcomes.push(whole(connection, job)?);
    }
    Ok(outcomes)
}

fn whole(connection: &Connection, job: &Job) -> rusqlite::Result<Result<Done>> {
    connection.prepare_cached("SAVEPOINT job")?.execute([])?;
    let outcome = match apply(connection, job) {
        Ok(done) => Ok(done),
        Err(Refused::Connection(error)) => return Err(error),
        Err(Refused::Job(error)) => {
            connection.prepare_cached("ROLLBACK TO job")?.execute([])?;
            Err(error)
        }
    };
    connection.prepare_cached("RELEASE job")?.execute([])?;
    Ok(outcome)
}

fn apply(connection: &Connection, job: &Job) -> std::result::Result<Done, Refused> {
    match job {
        Job::Write(writes) => {
            for change in writes {
                write(connection, change)?;
            }
            Ok(Done::default())
        }
        Job::Remove(removal) => remove::step(connection, removal),
        Job::TouchKey(id, at) => {
            let touch = "UPDATE api_key SET last_used_at = ?2 WHERE id = ?1";
            connection.prepare_cached(touch)?.execute(params![id.to_string(), at.0])?;
            Ok(Done::default())
        }
        Job::Heartbeat => {
            connection.prepare_cached(HEARTBEAT)?.execute([])?;
            Ok(Done::default())
        }
    }
}

fn write(connection: &Connection, write: &Write) -> std::result::Result<(), Refused> {
    match write {
        Write::Sandbox(record) => sandbox(connection, record),
        Write::Execution(record) => execution(connection, record),
        Write::Idempotency(record) => idempotency(connection, record),
        Write::Key(record) => key(connection, record),
        Write::RevokeKey { id, at } => {
            let revoke = "UPDATE api_key SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
            connection.prepare_cached(revoke)?.execute(params![id.to_string(), at.0])?;
            Ok(())
        }
        Write::Usage { sandbox, at, cpu_us } => {
            let to = Meter { at: at.0, cpu_us: i64::try_from(*cpu_us).unwrap_or(i64::MAX) };
            Ok(usage::metered(connection, &sandbox.to_string(), to)?)
        }
        Write::Transferred(record) => Ok(usage::transferred(connection, record)?),
        Write::Event(event) => Ok(append(connection, event)?),
        Write::Webhook(record) => webhook::webhook(connection, record),
        Write::WebhookProgress { id, generation, progress } => {
            Ok(webhook::progress(connection, *id, *generation, progress)?)
        }
        Write::Delivery(delivery) => Ok(webhook::delivery(connection, delivery)?),
        Write::RemoveWebhook(id) => Ok(webhook::remove(connection, *id)?),
    }
}

const HEARTBEAT: &str = "INSERT INTO heartbeat (node_id, tenant_id, generation, created_at) VALUES ('local', 'default', 1, 0) \
     ON CONFLICT (node_id) DO UPDATE SET generation = heartbeat.generation + 1";

const SANDBOX: &str = "INSERT INTO sandbox (id, tenant_id, node_id, generation, phase, ending, engine, engine_reason, spec, \
     message, token, one_shot, created_at, expires_at, finished_at, paused_at, paused_ms, pooled, key_id) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19) \
     ON CONFLICT (id) DO UPDATE SET tenant_id = excluded.tenant_id, node_id = excluded.node_id, \
     generation = excluded.generation, pooled = excluded.pooled, \
     phase = excluded.phase, ending = excluded.ending, engine = excluded.engine, \
     engine_reason = excluded.engine_reason, spec = excluded.spec, message = excluded.message, \
     token = excluded.token, one_shot = excluded.one_shot, created_at = excluded.created_at, \
     expires_at = excluded.expires_at, finished_at = excluded.finished_at, paused_at = excluded.paused_at, \
     paused_ms = excluded.paused_ms, key_id = excluded.key_id \
     WHERE sandbox.generation <= excluded.generation \
     AND (sandbox.tenant_id = excluded.tenant_id OR sandbox.pooled IS NOT NULL) \
     AND (sandbox.phase <> 'finished' OR excluded.phase = 'finished')";

fn sandbox(connection: &Connection, record: &SandboxRecord) -> std::result::Result<(), Refused> {
    let row = SandboxRow::from(record);
    let stored = connection.prepare_cached(SANDBOX)?.execute(params![
        row.id,
        row.tenant_id,
        row.node_id,
        row.generation,
        row.phase,
        row.ending,
        row.engine,
        row.engine_reason,
        row.spec,
        row.message,
        row.token,
        row.one_shot,
        row.created_at,
        row.expires_at,
        row.finished_at,
        row.paused_at,
        row.paused_ms,
        row.pooled,
        row.key_id
    ])?;
    if stored == 1 {
        return Ok(usage::sandbox(connection, &row)?);
    }
    Err(Refused::Job(stale(connection, record.id, record.generation)?))
}

/// Says what the store has instead.
fn stale(connection: &Connection, id: SandboxId, written: Generation) -> rusqlite::Result<Error> {
    let mut stored = connection.prepare_cached("SELECT phase, generation FROM sandbox WHERE id = ?1")?;
    let (phase, generation): (String, i64) =
        stored.query_one([id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(check::stale_sandbox(id, written, Generation(u64::try_from(generation).unwrap_or(0)), &phase))
}

// Where it runs, and in which generation of its sandbox it was written, is taken from the sandbox; without one
// nothing is inserted.
const EXECUTION: &str = "INSERT INTO execution (id, sandbox_id, tenant_id, command, state, outcome, exit_code, signal, \
     duration_us, cpu_us, memory_peak_bytes, stdout_place, stdout_total, stdout_stored, stdout, stderr_place, \
     stderr_total, stderr_stored, stderr, created_at, expires_at, finished_at, results, key_id, node_id, generation) \
     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, \
     sandbox.node_id, sandbox.generation FROM sandbox WHERE sandbox.id = ?2 \
     ON CONFLICT (id) DO UPDATE SET command = excluded.command, state = excluded.state, outcome = excluded.outcome, \
     exit_code = excluded.exit_code, signal = excluded.signal, duration_us = excluded.duration_us, \
     cpu_us = excluded.cpu_us, memory_peak_bytes = excluded.memory_peak_bytes, \
     stdout_place = excluded.stdout_place, stdout_total = excluded.stdout_total, \
     stdout_stored = excluded.stdout_stored, stdout = excluded.stdout, stderr_place = excluded.stderr_place, \
     stderr_total = excluded.stderr_total, stderr_stored = excluded.stderr_stored, stderr = excluded.stderr, \
     created_at = excluded.created_at, expires_at = excluded.expires_at, finished_at = excluded.finished_at, \
     results = excluded.results, node_id = excluded.node_id, generation = excluded.generation \
     WHERE execution.state <> 'finished'";

fn execution(connection: &Connection, record: &ExecutionRecord) -> std::result::Result<(), Refused> {
    let row = ExecutionRow::from(record);
    let stored = connection.prepare_cached(EXECUTION)?.execute(params![
        row.id,
        row.sandbox_id,
        row.tenant_id,
        row.command,
        row.state,
        row.outcome,
        row.exit_code,
        row.signal,
        row.duration_us,
        row.cpu_us,
        row.memory_peak_bytes,
        row.stdout_place,
        row.stdout_total,
        row.stdout_stored,
        row.stdout,
        row.stderr_place,
        row.stderr_total,
        row.stderr_stored,
        row.stderr,
        row.created_at,
        row.expires_at,
        row.finished_at,
        row.results,
        row.key_id
    ])?;
    if stored == 1 {
        return Ok(usage::execution(connection, &row)?);
    }
    if has_finished(connection, record.id)? {
        return Ok(());
    }
    Err(Refused::Job(check::orphan_execution(record.id, record.sandbox)))
}

fn has_finished(connection: &Connection, id: ExecutionId) -> rusqlite::Result<bool> {
    let mut finished = connection.prepare_cached("SELECT 1 FROM execution WHERE id = ?1 AND state = 'finished'")?;
    finished.exists([id.to_string()])
}

const IDEMPOTENCY: &str = "INSERT INTO idempotency (tenant_id, key, generation, request, sandbox_id, execution_id, webhook_id, created_at) \
     VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (tenant_id, key) DO UPDATE SET \
     generation = idempotency.generation + 1, sandbox_id = excluded.sandbox_id, execution_id = excluded.execution_id, \
     webhook_id = excluded.webhook_id \
     WHERE idempotency.request = excluded.request";

fn idempotency(connection: &Connection, record: &IdempotencyRecord) -> std::result::Result<(), Refused> {
    let row = IdempotencyRow::from(record);
    let stored = connection.prepare_cached(IDEMPOTENCY)?.execute(params![
        row.tenant_id,
        row.key,
        row.request,
        row.sandbox_id,
        row.execution_id,
        row.webhook_id,
        row.created_at
    ])?;
    match stored {
        0 => Err(Refused::Job(check::known_request(&record.once.key))),
        _ => Ok(()),
    }
}

const KEY: &str = "INSERT INTO api_key (id, tenant_id, generation, name, role, secret_hash, created_at, expires_at) \
     VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING";

fn key(connection: &Connection, record: &KeyRecord) -> std::result::Result<(), Refused> {
    let row = KeyRow::from(record);
    let stored = connection.prepare_cached(KEY)?.execute(params![
        row.id,
        row.tenant_id,
        row.name,
        row.role,
        row.secret_hash,
        row.created_at,
        row.expires_at
    ])?;
    match stored {
        0 => Err(Refused::Job(check::known_key(record.id))),
        _ => Ok(()),
    }
}

const EVENT: &str = "INSERT INTO event (tenant_id, name, kind, sandbox_id, execution_id, message, created_at, generation, node_id) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, COALESCE((SELECT generation FROM sandbox WHERE id = ?4), 0), \
     (SELECT node_id FROM sandbox WHERE id = ?4))";

fn append(connection: &Connection, event: &NewEvent) -> rusqlite::Result<()> {
    let row = EventRow::new(0, event);
    let mut insert = connection.prepare_cached(EVENT)?;
    insert.execute(params![
        row.tenant_id,
        row.name,
        row.kind,
        row.sandbox_id,
        row.execution_id,
        row.message,
        row.created_at,
    ])?;
    Ok(())
}
