//! What was used, in SQL: added in the transaction that says up to where it was counted.

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, params};
use sentinal_model::UsageSum;

use crate::{
    UsageRecord,
    meter::{Meter, hour_of},
    row::{ExecutionRow, SandboxRow, UsageKey, UsageRow},
};

/// A sandbox's meter, and what its shares are of.
struct Metered {
    tenant_id: String,
    engine: String,
    key_id: String,
    memory_bytes: i64,
    is_finished: bool,
    meter: Meter,
}

impl TryFrom<&Row<'_>> for Metered {
    type Error = rusqlite::Error;

    fn try_from(row: &Row<'_>) -> rusqlite::Result<Self> {
        let meter = Meter { at: row.get("metered_at")?, cpu_us: row.get("metered_cpu_us")? };
        Ok(Self {
            tenant_id: row.get("tenant_id")?,
            engine: row.get("engine")?,
            key_id: row.get("key_id")?,
            memory_bytes: row.get("memory_bytes")?,
            is_finished: row.get("is_finished")?,
            meter,
        })
    }
}

/// A sandbox was written: it is counted from when it became somebody's until nothing was left of it.
pub(super) fn sandbox(connection: &Connection, row: &SandboxRow) -> rusqlite::Result<()> {
    if row.tenant_id.is_empty() {
        return Ok(());
    }
    let begin =
        "UPDATE sandbox SET metered_at = COALESCE(finished_at, created_at) WHERE id = ?1 AND metered_at IS NULL";
    // One that comes with its end was there before, and was removed at the end of the retention time: it is counted.
    if connection.prepare_cached(begin)?.execute([&row.id])? == 1 && row.finished_at.is_none() {
        add(connection, &row.usage_key(hour_of(row.created_at)), UsageSum { sandboxes: 1, ..UsageSum::default() })?;
    }
    match row.finished_at {
        Some(at) => advance(connection, &row.id, |_| Meter { at, cpu_us: 0 }),
        None => Ok(()),
    }
}

/// A sandbox was looked at: up to this moment it has used so much. One that has ended is counted already.
pub(super) fn metered(connection: &Connection, sandbox: &str, to: Meter) -> rusqlite::Result<()> {
    advance(connection, sandbox, |known| if known.is_finished { known.meter } else { to })
}

/// An execution has ended.
pub(super) fn execution(connection: &Connection, row: &ExecutionRow) -> rusqlite::Result<()> {
    let Some((at, used)) = row.used() else { return Ok(()) };
    let mut engine = connection.prepare_cached("SELECT COALESCE(engine, '') FROM sandbox WHERE id = ?1")?;
    let engine = engine.query_row([&row.sandbox_id], |row| row.get(0)).optional()?.unwrap_or_default();
    add(connection, &row.usage_key(hour_of(at), engine), used)
}

/// Files went into a sandbox or came out of it.
pub(super) fn transferred(connection: &Connection, record: &UsageRecord) -> rusqlite::Result<()> {
    add(connection, &UsageKey::of(record), record.used)
}

const METERED: &str = "SELECT tenant_id, COALESCE(engine, '') AS engine, COALESCE(key_id, '') AS key_id, \
     json_extract(spec, '$.memory_bytes') AS memory_bytes, phase = 'finished' AS is_finished, metered_at, metered_cpu_us \
     FROM sandbox WHERE id = ?1 AND metered_at IS NOT NULL";

fn advance(connection: &Connection, sandbox: &str, to: impl FnOnce(&Metered) -> Meter) -> rusqlite::Result<()> {
    let mut known = connection.prepare_cached(METERED)?;
    let Some(known) = known.query_row([sandbox], |row| Metered::try_from(row)).optional()? else { return Ok(()) };
    let memory_mib = u64::try_from(known.memory_bytes >> 20).unwrap_or(0);
    let (next, shares) = known.meter.advance(to(&known), memory_mib);
    if next == known.meter {
        return Ok(());
    }
    let set = "UPDATE sandbox SET metered_at = ?2, metered_cpu_us = ?3 WHERE id = ?1";
    connection.prepare_cached(set)?.execute(params![sandbox, next.at, next.cpu_us])?;
    let Metered { tenant_id, engine, key_id, .. } = known;
    let mut key = UsageKey { tenant_id, hour: 0, engine, key_id };
    for share in shares {
        key.hour = share.hour;
        add(connection, &key, share.used)?;
    }
    Ok(())
}

const ADD: &str = "INSERT INTO usage (tenant_id, hour, engine, key_id, sandboxes, sandbox_ms, cpu_us, memory_mib_ms, \
     executions_exited, executions_signaled, executions_timeout, executions_oom, executions_killed, output_bytes, \
     uploaded_bytes, downloaded_bytes) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
     ON CONFLICT (tenant_id, hour, engine, key_id) DO UPDATE SET sandboxes = usage.sandboxes + excluded.sandboxes, \
     sandbox_ms = usage.sandbox_ms + excluded.sandbox_ms, cpu_us = usage.cpu_us + excluded.cpu_us, \
     memory_mib_ms = usage.memory_mib_ms + excluded.memory_mib_ms, \
     executions_exited = usage.executions_exited + excluded.executions_exited, \
     executions_signaled = usage.executions_signaled + excluded.executions_signaled, \
     executions_timeout = usage.executions_timeout + excluded.executions_timeout, \
     executions_oom = usage.executions_oom + excluded.executions_oom, \
     executions_killed = usage.executions_killed + excluded.executions_killed, \
     output_bytes = usage.output_bytes + excluded.output_bytes, \
     uploaded_bytes = usage.uploaded_bytes + excluded.uploaded_bytes, \
     downloaded_bytes = usage.downloaded_bytes + excluded.downloaded_bytes";

fn add(connection: &Connection, key: &UsageKey, used: UsageSum) -> rusqlite::Result<()> {
    let mut add: CachedStatement<'_> = connection.prepare_cached(ADD)?;
    let row = UsageRow::new(key.clone(), used);
    let [exited, signaled, timeout, oom, killed] = row.executions;
    add.execute(params![
        row.key.tenant_id,
        row.key.hour,
        row.key.engine,
        row.key.key_id,
        row.sandboxes,
        row.sandbox_ms,
        row.cpu_us,
        row.memory_mib_ms,
        exited,
        signaled,
        timeout,
        oom,
        killed,
        row.output_bytes,
        row.uploaded_bytes,
        row.downloaded_bytes
    ])?;
    Ok(())
}
