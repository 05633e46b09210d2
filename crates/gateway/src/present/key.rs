//! Keys in the words of the API.

use sentinal_api as v1;
use sentinal_controller::KeyRecord;

/// A key as callers see it: without anything of its secret.
pub(crate) fn key(record: KeyRecord) -> v1::Key {
    v1::Key {
        id: record.id.to_string(),
        name: record.name,
        role: record.role,
        created_at: v1::time_text(record.created_at),
        expires_at: record.expires_at.map(v1::time_text),
        last_used_at: record.last_used_at.map(v1::time_text),
        revoked_at: record.revoked_at.map(v1::time_text),
    }
}
