//! Retention: what ended long ago goes, a bounded number of rows per transaction.
//!
//! A sandbox's row goes last, so a removal that is cut short is found and finished by the next one.

use rusqlite::{Connection, Params, params};
use sentinal_model::{ExecutionId, Millis, Result, TenantId, limits::USAGE_RETENTION};

use super::{
    apply::{Refused, webhook},
    writer::{Done, Job, Writer},
};
use crate::{
    Removed,
    limits::REMOVED_ROWS_MAX,
    row::{EventRow, ExecutionRow},
};

/// One step of a removal, small enough for one transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Removal {
    what: What,
    before: Millis,
    sandboxes_max: i64,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Executions,
    Events,
    Sandboxes,
    EventsWithoutSandbox,
    Idempotency,
    Usage,
}

/// Removes what ended before `before`; answers the executions that had output files. After a failure it answers
/// what it did until then: those files have no row any more.
pub(super) async fn finished(writer: &Writer, before: Millis, rows_max: u32) -> Result<Removed> {
    let mut all_done = Done::default();
    let all =
        [What::Executions, What::Events, What::Sandboxes, What::EventsWithoutSandbox, What::Idempotency, What::Usage];
    for what in all {
        let removal = Removal { what, before, sandboxes_max: i64::from(rows_max) };
        match exhaust(writer, removal, &mut all_done).await {
            Ok(()) => {}
            Err(error) if all_done.rows_removed == 0 => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "removal of finished sandboxes cut short");
                break;
            }
        }
    }
    let by_tenant = |(tenant, bytes): (String, u64)| (TenantId::from_stored(&tenant), bytes);
    let output_bytes = all_done.output_bytes.into_iter().map(by_tenant).collect();
    Ok(Removed { with_files: all_done.with_files, output_bytes })
}

/// Repeats a step until it finds nothing more; sandboxes themselves go in one.
async fn exhaust(writer: &Writer, removal: Removal, all_done: &mut Done) -> Result<()> {
    loop {
        let done = writer.run(Job::Remove(removal)).await?;
        let rows_removed = done.rows_removed;
        all_done.add(done);
        if matches!(removal.what, What::Sandboxes) || rows_removed == 0 {
            return Ok(());
        }
    }
}

macro_rules! the_oldest {
    () => {
        "(SELECT id FROM sandbox WHERE phase = 'finished' AND finished_at < ?1 ORDER BY finished_at, id LIMIT ?2)"
    };
}

const EXECUTIONS: &str = concat!(
    "DELETE FROM execution WHERE id IN (SELECT id FROM execution WHERE sandbox_id IN ",
    the_oldest!(),
    " LIMIT ?3) RETURNING id, stdout_place, stderr_place, tenant_id, COALESCE(stdout_stored, 0) + COALESCE(stderr_stored, 0)"
);
const EVENTS: &str = concat!(
    "DELETE FROM event WHERE cursor IN (SELECT cursor FROM event WHERE sandbox_id IN ",
    the_oldest!(),
    " LIMIT ?3) RETURNING *"
);
// A sandbox that still has something, written after the steps before this one, waits for the next removal.
const SANDBOXES: &str = concat!(
    "DELETE FROM sandbox WHERE id IN ",
    the_oldest!(),
    " AND NOT EXISTS (SELECT 1 FROM execution WHERE sandbox_id = sandbox.id)",
    " AND NOT EXISTS (SELECT 1 FROM event WHERE sandbox_id = sandbox.id)"
);
const EVENTS_WITHOUT_SANDBOX: &str = "DELETE FROM event WHERE cursor IN \
     (SELECT cursor FROM event WHERE sandbox_id IS NULL AND created_at < ?1 ORDER BY created_at LIMIT ?2) \
     RETURNING *";
const IDEMPOTENCY: &str = "DELETE FROM idempotency WHERE (tenant_id, key) IN \
     (SELECT tenant_id, key FROM idempotency WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)";

const USAGE: &str = "DELETE FROM usage WHERE (tenant_id, hour, engine, key_id) IN \
     (SELECT tenant_id, hour, engine, key_id FROM usage WHERE hour < ?1 ORDER BY hour LIMIT ?2)";

/// Removes the rows of one step.
pub(super) fn step(connection: &Connection, removal: &Removal) -> std::result::Result<Done, Refused> {
    let (before, sandboxes_max) = (removal.before.0, removal.sandboxes_max);
    let removed = match removal.what {
        What::Executions => return Ok(executions(connection, removal)?),
        What::Events => events(connection, EVENTS, params![before, sandboxes_max, REMOVED_ROWS_MAX])?,
        What::Sandboxes => connection.prepare_cached(SANDBOXES)?.execute(params![before, sandboxes_max])?,
        What::EventsWithoutSandbox => events(connection, EVENTS_WITHOUT_SANDBOX, params![before, REMOVED_ROWS_MAX])?,
        What::Idempotency => connection.prepare_cached(IDEMPOTENCY)?.execute(params![before, REMOVED_ROWS_MAX])?,
        What::Usage => connection.prepare_cached(USAGE)?.execute(params![usage_before(before), REMOVED_ROWS_MAX])?,
    };
    Ok(Done { rows_removed: removed, ..Done::default() })
}

/// What was used is kept for longer than what used it.
pub(crate) fn usage_before(before: i64) -> i64 {
    before.saturating_sub(i64::try_from(USAGE_RETENTION.as_millis()).unwrap_or(i64::MAX))
}

/// Removes events; those that a webhook has not delivered are counted there.
fn events(connection: &Connection, delete: &str, terms: impl Params) -> rusqlite::Result<usize> {
    let mut delete = connection.prepare_cached(delete)?;
    let removed = delete.query_map(terms, |row| EventRow::try_from(row))?;
    let removed: Vec<EventRow> = removed.collect::<rusqlite::Result<_>>()?;
    webhook::lose(connection, &removed)?;
    Ok(removed.len())
}

fn executions(connection: &Connection, removal: &Removal) -> rusqlite::Result<Done> {
    let mut delete = connection.prepare_cached(EXECUTIONS)?;
    let mut removed = delete.query(params![removal.before.0, removal.sandboxes_max, REMOVED_ROWS_MAX])?;
    let mut done = Done::default();
    while let Some(row) = removed.next()? {
        done.rows_removed += 1;
        let (id, places): (String, [Option<String>; 2]) = (row.get(0)?, [row.get(1)?, row.get(2)?]);
        let (tenant, bytes): (String, i64) = (row.get(3)?, row.get(4)?);
        *done.output_bytes.entry(tenant).or_default() += u64::try_from(bytes).unwrap_or(0);
        if places.iter().flatten().any(|place| place == ExecutionRow::FILE) {
            // An id that does not parse has no file of that name either.
            done.with_files.extend(id.parse::<ExecutionId>().ok());
        }
    }
    Ok(done)
}
