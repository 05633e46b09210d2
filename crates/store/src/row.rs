//! Rows as they lie in the tables, apart from the records: `From` outwards, `TryFrom` inwards, and a row that
//! no server of this version can have written is an error that says which.

mod event;
mod execution;
mod idempotency;
mod key;
mod sandbox;
mod usage;
mod webhook;

pub(crate) use event::EventRow;
pub(crate) use execution::{ExecutionRow, OutputRow};
pub(crate) use idempotency::IdempotencyRow;
pub(crate) use key::KeyRow;
pub(crate) use sandbox::SandboxRow;
pub(crate) use usage::{UsageKey, UsageRow};
pub(crate) use webhook::{DeliveryRow, WebhookRow};

/// A row that cannot be read: damaged, or written by something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the row {id:?} of the table {table} is damaged: column {column}")]
pub(crate) struct CorruptRow {
    table: &'static str,
    id: String,
    column: &'static str,
}

impl From<CorruptRow> for sentinal_model::Error {
    fn from(corrupt: CorruptRow) -> Self {
        Self::internal(&corrupt)
    }
}

/// Names the row in errors about its columns.
#[derive(Debug, Clone, Copy)]
struct Reader<'a> {
    table: &'static str,
    id: &'a str,
}

impl Reader<'_> {
    fn corrupt(&self, column: &'static str) -> CorruptRow {
        CorruptRow { table: self.table, id: self.id.to_owned(), column }
    }

    /// The value of a column, or the error that names it.
    fn some<T>(&self, column: &'static str, value: Option<T>) -> Result<T, CorruptRow> {
        value.ok_or_else(|| self.corrupt(column))
    }

    /// The value of a column as something narrower, or the error that names it.
    fn parsed<T, E>(&self, column: &'static str, value: Result<T, E>) -> Result<T, CorruptRow> {
        value.map_err(|_| self.corrupt(column))
    }
}

/// An amount as a column holds it; more than 2^63 - 1 of anything is stored as that.
fn stored(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// Microseconds of a duration, as JSON columns hold it.
fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
