//! The table `api_key`.

use rusqlite::Row;
use sentinal_model::{Millis, TenantId};

use super::{CorruptRow, Reader};
use crate::KeyRecord;

/// A row of the table `api_key`.
#[derive(Debug, Clone)]
pub(crate) struct KeyRow {
    pub(crate) id: String,
    pub(crate) tenant_id: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) secret_hash: Vec<u8>,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) revoked_at: Option<i64>,
}

impl TryFrom<&Row<'_>> for KeyRow {
    type Error = rusqlite::Error;

    fn try_from(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            tenant_id: row.get("tenant_id")?,
            name: row.get("name")?,
            role: row.get("role")?,
            secret_hash: row.get("secret_hash")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            last_used_at: row.get("last_used_at")?,
            revoked_at: row.get("revoked_at")?,
        })
    }
}

impl From<&KeyRecord> for KeyRow {
    fn from(record: &KeyRecord) -> Self {
        Self {
            id: record.id.to_string(),
            tenant_id: record.tenant.to_string(),
            name: record.name.clone(),
            role: record.role.clone(),
            secret_hash: record.secret_hash.to_vec(),
            created_at: record.created_at.0,
            expires_at: record.expires_at.map(|at| at.0),
            last_used_at: None,
            revoked_at: None,
        }
    }
}

impl TryFrom<KeyRow> for KeyRecord {
    type Error = CorruptRow;

    fn try_from(row: KeyRow) -> Result<Self, CorruptRow> {
        let reader = Reader { table: "api_key", id: &row.id };
        Ok(Self {
            id: reader.parsed("id", row.id.parse())?,
            tenant: TenantId::from_stored(&row.tenant_id),
            secret_hash: reader.parsed("secret_hash", row.secret_hash.as_slice().try_into())?,
            created_at: Millis(row.created_at),
            expires_at: row.expires_at.map(Millis),
            last_used_at: row.last_used_at.map(Millis),
            revoked_at: row.revoked_at.map(Millis),
            name: row.name,
            role: row.role,
        })
    }
}
