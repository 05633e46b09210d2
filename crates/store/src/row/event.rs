//! The table `event`.

use rusqlite::Row;
use sentinal_model::{Millis, TenantId};

use super::{CorruptRow, Reader};
use crate::{EventRecord, NewEvent};

/// A row of the table `event`.
#[derive(Debug, Clone)]
pub(crate) struct EventRow {
    pub(crate) cursor: i64,
    pub(crate) tenant_id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) sandbox_id: Option<String>,
    pub(crate) execution_id: Option<String>,
    pub(crate) message: String,
    pub(crate) created_at: i64,
}

impl TryFrom<&Row<'_>> for EventRow {
    type Error = rusqlite::Error;

    fn try_from(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            cursor: row.get("cursor")?,
            tenant_id: row.get("tenant_id")?,
            name: row.get("name")?,
            kind: row.get("kind")?,
            sandbox_id: row.get("sandbox_id")?,
            execution_id: row.get("execution_id")?,
            message: row.get("message")?,
            created_at: row.get("created_at")?,
        })
    }
}

impl EventRow {
    /// The row of an event at that cursor; whoever stores it may give it another.
    pub(crate) fn new(cursor: i64, event: &NewEvent) -> Self {
        Self {
            cursor,
            tenant_id: event.tenant.to_string(),
            name: event.name.clone(),
            kind: event.kind.clone(),
            sandbox_id: event.sandbox.map(|id| id.to_string()),
            execution_id: event.execution.map(|id| id.to_string()),
            message: event.message.clone(),
            created_at: event.at.0,
        }
    }
}

impl TryFrom<EventRow> for EventRecord {
    type Error = CorruptRow;

    fn try_from(row: EventRow) -> Result<Self, CorruptRow> {
        let id = row.cursor.to_string();
        let reader = Reader { table: "event", id: &id };
        let sandbox = row.sandbox_id.map(|id| id.parse()).transpose();
        let execution = row.execution_id.map(|id| id.parse()).transpose();
        let event = NewEvent {
            tenant: TenantId::from_stored(&row.tenant_id),
            at: Millis(row.created_at),
            name: row.name,
            kind: row.kind,
            sandbox: reader.parsed("sandbox_id", sandbox)?,
            execution: reader.parsed("execution_id", execution)?,
            message: row.message,
        };
        Ok(Self { cursor: row.cursor, event })
    }
}
