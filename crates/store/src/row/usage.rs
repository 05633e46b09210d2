//! The table `usage`.

use rusqlite::Row;
use sentinal_model::{Millis, TenantId, UsageSum};

use super::{CorruptRow, Reader, stored};
use crate::{UsageRecord, meter::hour_of};

/// Which sums of the table: its primary key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UsageKey {
    pub(crate) tenant_id: String,
    pub(crate) hour: i64,
    pub(crate) engine: String,
    pub(crate) key_id: String,
}

/// A row of the table `usage`, or the sum of several.
#[derive(Debug, Clone)]
pub(crate) struct UsageRow {
    pub(crate) key: UsageKey,
    pub(crate) sandboxes: i64,
    pub(crate) sandbox_ms: i64,
    pub(crate) cpu_us: i64,
    pub(crate) memory_mib_ms: i64,
    /// In the order of the outcomes' names.
    pub(crate) executions: [i64; 5],
    pub(crate) output_bytes: i64,
    pub(crate) uploaded_bytes: i64,
    pub(crate) downloaded_bytes: i64,
}

impl TryFrom<&Row<'_>> for UsageRow {
    type Error = rusqlite::Error;

    fn try_from(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (tenant_id, hour) = (row.get("tenant_id")?, row.get("hour")?);
        Ok(Self {
            key: UsageKey { tenant_id, hour, engine: row.get("engine")?, key_id: row.get("key_id")? },
            sandboxes: row.get("sandboxes")?,
            sandbox_ms: row.get("sandbox_ms")?,
            cpu_us: row.get("cpu_us")?,
            memory_mib_ms: row.get("memory_mib_ms")?,
            executions: [
                row.get("executions_exited")?,
                row.get("executions_signaled")?,
                row.get("executions_timeout")?,
                row.get("executions_oom")?,
                row.get("executions_killed")?,
            ],
            output_bytes: row.get("output_bytes")?,
            uploaded_bytes: row.get("uploaded_bytes")?,
            downloaded_bytes: row.get("downloaded_bytes")?,
        })
    }
}

impl UsageKey {
    /// The sums that this is a part of.
    pub(crate) fn of(record: &UsageRecord) -> Self {
        Self {
            tenant_id: record.tenant.to_string(),
            hour: hour_of(record.hour.0),
            engine: record.engine.map(|engine| engine.to_string()).unwrap_or_default(),
            key_id: record.key.map(|key| key.to_string()).unwrap_or_default(),
        }
    }
}

impl UsageRow {
    pub(crate) fn new(key: UsageKey, used: UsageSum) -> Self {
        Self {
            key,
            sandboxes: stored(used.sandboxes),
            sandbox_ms: stored(used.sandbox_ms),
            cpu_us: stored(used.cpu_us),
            memory_mib_ms: stored(used.memory_mib_ms),
            executions: used.executions.map(stored),
            output_bytes: stored(used.output_bytes),
            uploaded_bytes: stored(used.uploaded_bytes),
            downloaded_bytes: stored(used.downloaded_bytes),
        }
    }
}

impl TryFrom<UsageRow> for UsageRecord {
    type Error = CorruptRow;

    fn try_from(row: UsageRow) -> Result<Self, CorruptRow> {
        let id = format!("{} {}", row.key.tenant_id, row.key.hour);
        let reader = Reader { table: "usage", id: &id };
        let amount = |column, value: i64| reader.parsed(column, u64::try_from(value));
        let mut executions = [0; 5];
        for (count, value) in executions.iter_mut().zip(row.executions) {
            *count = amount("executions", value)?;
        }
        let used = UsageSum {
            sandboxes: amount("sandboxes", row.sandboxes)?,
            sandbox_ms: amount("sandbox_ms", row.sandbox_ms)?,
            cpu_us: amount("cpu_us", row.cpu_us)?,
            memory_mib_ms: amount("memory_mib_ms", row.memory_mib_ms)?,
            executions,
            output_bytes: amount("output_bytes", row.output_bytes)?,
            uploaded_bytes: amount("uploaded_bytes", row.uploaded_bytes)?,
            downloaded_bytes: amount("downloaded_bytes", row.downloaded_bytes)?,
        };
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let engine = some(&row.key.engine).map(|name| name.parse()).transpose();
        let key = some(&row.key.key_id).map(|id| id.parse()).transpose();
        Ok(Self {
            tenant: TenantId::from_stored(&row.key.tenant_id),
            hour: Millis(row.key.hour),
            engine: reader.parsed("engine", engine)?,
            key: reader.parsed("key_id", key)?,
            used,
        })
    }
}
