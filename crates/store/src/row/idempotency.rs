//! The table `idempotency`.

use rusqlite::Row;
use sentinal_model::{Made, Millis, Once, TenantId};

use super::{CorruptRow, Reader};
use crate::IdempotencyRecord;

/// A row of the table `idempotency`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyRow {
    pub(crate) tenant_id: String,
    pub(crate) key: String,
    pub(crate) request: Vec<u8>,
    pub(crate) sandbox_id: Option<String>,
    pub(crate) execution_id: Option<String>,
    pub(crate) webhook_id: Option<String>,
    pub(crate) created_at: i64,
}

impl TryFrom<&Row<'_>> for IdempotencyRow {
    type Error = rusqlite::Error;

    fn try_from(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            tenant_id: row.get("tenant_id")?,
            key: row.get("key")?,
            request: row.get("request")?,
            sandbox_id: row.get("sandbox_id")?,
            execution_id: row.get("execution_id")?,
            webhook_id: row.get("webhook_id")?,
            created_at: row.get("created_at")?,
        })
    }
}

impl From<&IdempotencyRecord> for IdempotencyRow {
    fn from(record: &IdempotencyRecord) -> Self {
        let (sandbox_id, execution_id, webhook_id) = match record.made {
            Made::Sandbox(id) => (Some(id.to_string()), None, None),
            Made::Execution(id) => (None, Some(id.to_string()), None),
            Made::Webhook(id) => (None, None, Some(id.to_string())),
        };
        Self {
            tenant_id: record.tenant.to_string(),
            key: record.once.key.to_string(),
            request: record.once.request.to_vec(),
            sandbox_id,
            execution_id,
            webhook_id,
            created_at: record.created_at.0,
        }
    }
}

impl TryFrom<IdempotencyRow> for IdempotencyRecord {
    type Error = CorruptRow;

    fn try_from(row: IdempotencyRow) -> Result<Self, CorruptRow> {
        let reader = Reader { table: "idempotency", id: &row.key };
        let made = match (&row.sandbox_id, &row.execution_id, &row.webhook_id) {
            (Some(id), None, None) => Made::Sandbox(reader.parsed("sandbox_id", id.parse())?),
            (None, Some(id), None) => Made::Execution(reader.parsed("execution_id", id.parse())?),
            (None, None, Some(id)) => Made::Webhook(reader.parsed("webhook_id", id.parse())?),
            _ => return Err(reader.corrupt("sandbox_id")),
        };
        let once = Once {
            key: reader.parsed("key", row.key.parse())?,
            request: reader.parsed("request", row.request.as_slice().try_into())?,
        };
        let (tenant, created_at) = (TenantId::from_stored(&row.tenant_id), Millis(row.created_at));
        Ok(Self { tenant, once, made, created_at })
    }
}
