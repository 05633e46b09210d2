//! Webhooks against the tables.

use rusqlite::{Connection, params};
use sentinal_model::{Generation, WebhookId, limits::WEBHOOK_DELIVERIES_KEPT_MAX};

use super::Refused;
use crate::{
    NewDelivery, WebhookProgress, WebhookRecord, check,
    row::{DeliveryRow, EventRow, WebhookRow},
};

// It begins after the newest event there is, in whatever order others are written at the same time. A change leaves where
// it is as it is, and what has failed is tried at once.
const WEBHOOK: &str = "INSERT INTO webhook (id, tenant_id, generation, url, description, events, secret, enabled, \
     disabled_reason, position, failures, given_up, lost, created_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, COALESCE((SELECT MAX(cursor) FROM event), 0), 0, 0, 0, ?10) \
     ON CONFLICT (id) DO UPDATE SET generation = excluded.generation, url = excluded.url, \
     description = excluded.description, events = excluded.events, enabled = excluded.enabled, \
     disabled_reason = excluded.disabled_reason, failures = 0, retry_at = NULL, failing_since = NULL \
     WHERE webhook.generation <= excluded.generation AND webhook.tenant_id = excluded.tenant_id";

pub(super) fn webhook(connection: &Connection, record: &WebhookRecord) -> Result<(), Refused> {
    let row = WebhookRow::from(record);
    let stored = connection.prepare_cached(WEBHOOK)?.execute(params![
        row.id,
        row.tenant_id,
        row.generation,
        row.url,
        row.description,
        row.events,
        row.secret,
        row.enabled,
        row.disabled_reason,
        row.created_at
    ])?;
    if stored == 0 { Err(Refused::Job(check::stale_webhook(record.id))) } else { Ok(()) }
}

const PROGRESS: &str = "UPDATE webhook SET position = ?3, failures = ?4, retry_at = ?5, failing_since = ?6, given_up = ?7 \
     WHERE id = ?1 AND generation = ?2";

pub(super) fn progress(
    connection: &Connection,
    id: WebhookId,
    generation: Generation,
    progress: &WebhookProgress,
) -> rusqlite::Result<()> {
    let WebhookProgress { position, failures, retry_at, failing_since, given_up } = *progress;
    connection.prepare_cached(PROGRESS)?.execute(params![
        id.to_string(),
        i64::try_from(generation.0).unwrap_or(i64::MAX),
        position,
        failures,
        retry_at.map(|at| at.0),
        failing_since.map(|at| at.0),
        i64::try_from(given_up).unwrap_or(i64::MAX)
    ])?;
    Ok(())
}

const DELIVERY: &str = "INSERT INTO webhook_delivery (webhook_id, tenant_id, generation, event, name, attempt, result, status, \
     error, duration_us, retry_at, created_at) \
     SELECT ?1, ?2, generation, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 FROM webhook WHERE id = ?1";

const OLD_DELIVERIES: &str = "DELETE FROM webhook_delivery WHERE webhook_id = ?1 AND number <= \
     (SELECT number FROM webhook_delivery WHERE webhook_id = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)";

pub(super) fn delivery(connection: &Connection, delivery: &NewDelivery) -> rusqlite::Result<()> {
    let row = DeliveryRow::new(0, delivery);
    connection.prepare_cached(DELIVERY)?.execute(params![
        row.webhook_id,
        row.tenant_id,
        row.event,
        row.name,
        row.attempt,
        row.result,
        row.status,
        row.error,
        row.duration_us,
        row.retry_at,
        row.created_at
    ])?;
    connection.prepare_cached(OLD_DELIVERIES)?.execute(params![row.webhook_id, WEBHOOK_DELIVERIES_KEPT_MAX])?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, id: WebhookId) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM webhook_delivery WHERE webhook_id = ?1")?.execute([id.to_string()])?;
    connection.prepare_cached("DELETE FROM webhook WHERE id = ?1")?.execute([id.to_string()])?;
    Ok(())
}

/// Counts events that are removed before they were over for a webhook.
pub(in crate::sqlite) fn lose(connection: &Connection, removed: &[EventRow]) -> rusqlite::Result<()> {
    if removed.is_empty() {
        return Ok(());
    }
    let mut all = connection.prepare_cached("SELECT * FROM webhook")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let webhook = WebhookRow::try_from(row)?;
        let lost = i64::try_from(webhook.not_over(removed)).unwrap_or(i64::MAX);
        if 0 < lost {
            let count = "UPDATE webhook SET lost = lost + ?2 WHERE id = ?1";
            connection.prepare_cached(count)?.execute(params![webhook.id, lost])?;
        }
    }
    Ok(())
}
