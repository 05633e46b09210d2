//! Retention: what ended long ago goes, a bounded number of rows per transaction.
//!
//! A sandbox's row goes last, so a removal that is cut short is found and finished by the next one.

use sentinal_model::{ExecutionId, Millis, Result};
use sqlx::SqliteConnection;

use super::{
    apply::Refused,
    writer::{Done, Job, Writer},
};
use crate::{limits::REMOVED_ROWS_MAX, row::ExecutionRow};

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
}

/// Removes what ended before `before`; answers the executions that had output files. After a failure it answers
/// what it did until then: those files have no row any more.
pub(super) async fn finished(writer: &Writer, before: Millis, rows_max: u32) -> Result<Vec<ExecutionId>> {
    let mut with_files = Vec::new();
    for what in [What::Executions, What::Events, What::Sandboxes, What::EventsWithoutSandbox] {
        let removal = Removal { what, before, sandboxes_max: i64::from(rows_max) };
        match exhaust(writer, removal, &mut with_files).await {
            Ok(()) => {}
            Err(error) if with_files.is_empty() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "removal of finished sandboxes cut short");
                break;
            }
        }
    }
    Ok(with_files)
}

/// Repeats a step until it finds nothing more; sandboxes themselves go in one.
async fn exhaust(writer: &Writer, removal: Removal, with_files: &mut Vec<ExecutionId>) -> Result<()> {
    loop {
        let done = writer.run(Job::Remove(removal)).await?;
        with_files.extend(done.with_files);
        if matches!(removal.what, What::Sandboxes) || done.rows_removed == 0 {
            return Ok(());
        }
    }
}

macro_rules! the_oldest {
    () => {
        "(SELECT id FROM sandbox WHERE phase = 'finished' AND finished_at < $1 ORDER BY finished_at, id LIMIT $2)"
    };
}

const EXECUTIONS: &str = concat!(
    "DELETE FROM execution WHERE id IN (SELECT id FROM execution WHERE sandbox_id IN ",
    the_oldest!(),
    " LIMIT $3) RETURNING id, stdout_place, stderr_place"
);
const EVENTS: &str = concat!(
    "DELETE FROM event WHERE cursor IN (SELECT cursor FROM event WHERE sandbox_id IN ",
    the_oldest!(),
    " LIMIT $3)"
);
// A sandbox that still has something, written after the steps before this one, waits for the next removal.
const SANDBOXES: &str = concat!(
    "DELETE FROM sandbox WHERE id IN ",
    the_oldest!(),
    " AND NOT EXISTS (SELECT 1 FROM execution WHERE sandbox_id = sandbox.id)",
    " AND NOT EXISTS (SELECT 1 FROM event WHERE sandbox_id = sandbox.id)"
);
const EVENTS_WITHOUT_SANDBOX: &str = "DELETE FROM event WHERE cursor IN \
     (SELECT cursor FROM event WHERE sandbox_id IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2)";

/// Removes the rows of one step.
pub(super) async fn step(connection: &mut SqliteConnection, removal: &Removal) -> std::result::Result<Done, Refused> {
    let Removal { before, sandboxes_max, .. } = *removal;
    let of_sandboxes = |sql| sqlx::query(sql).bind(before.0).bind(sandboxes_max);
    let removed = match removal.what {
        What::Executions => return executions(connection, removal).await,
        What::Events => of_sandboxes(EVENTS).bind(REMOVED_ROWS_MAX).execute(connection).await?,
        What::Sandboxes => of_sandboxes(SANDBOXES).execute(connection).await?,
        What::EventsWithoutSandbox => {
            sqlx::query(EVENTS_WITHOUT_SANDBOX).bind(before.0).bind(REMOVED_ROWS_MAX).execute(connection).await?
        }
    };
    Ok(Done { rows_removed: removed.rows_affected(), with_files: Vec::new() })
}

async fn executions(connection: &mut SqliteConnection, removal: &Removal) -> std::result::Result<Done, Refused> {
    let delete = sqlx::query_as(EXECUTIONS).bind(removal.before.0).bind(removal.sandboxes_max).bind(REMOVED_ROWS_MAX);
    let removed: Vec<(String, Option<String>, Option<String>)> = delete.fetch_all(connection).await?;
    let is_file = |place: &Option<String>| place.as_deref() == Some(ExecutionRow::FILE);
    let with_files = removed.iter().filter(|(_, stdout, stderr)| is_file(stdout) || is_file(stderr));
    Ok(Done {
        rows_removed: u64::try_from(removed.len()).unwrap_or(u64::MAX),
        // An id that does not parse has no file of that name either.
        with_files: with_files.filter_map(|(id, ..)| id.parse().ok()).collect(),
    })
}
