//! The tables `webhook` and `webhook_delivery`.

use std::time::Duration;

use rusqlite::Row;
use sentinal_model::{
    DeliveryResult, EventFilter, EventName, Generation, Millis, TenantId, WebhookSecret, WebhookSpec,
};

use super::{CorruptRow, EventRow, Reader, micros, stored};
use crate::{DeliveryRecord, NewDelivery, WebhookProgress, WebhookRecord};

/// A row of the table `webhook`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookRow {
    pub(crate) id: String,
    pub(crate) tenant_id: String,
    pub(crate) generation: i64,
    pub(crate) url: String,
    pub(crate) description: String,
    pub(crate) events: Option<String>,
    pub(crate) secret: Vec<u8>,
    pub(crate) enabled: bool,
    pub(crate) disabled_reason: String,
    pub(crate) position: i64,
    pub(crate) failures: i64,
    pub(crate) retry_at: Option<i64>,
    pub(crate) failing_since: Option<i64>,
    pub(crate) given_up: i64,
    pub(crate) lost: i64,
    pub(crate) created_at: i64,
}

impl TryFrom<&Row<'_>> for WebhookRow {
    type Error = rusqlite::Error;

    fn try_from(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            tenant_id: row.get("tenant_id")?,
            generation: row.get("generation")?,
            url: row.get("url")?,
            description: row.get("description")?,
            events: row.get("events")?,
            secret: row.get("secret")?,
            enabled: row.get("enabled")?,
            disabled_reason: row.get("disabled_reason")?,
            position: row.get("position")?,
            failures: row.get("failures")?,
            retry_at: row.get("retry_at")?,
            failing_since: row.get("failing_since")?,
            given_up: row.get("given_up")?,
            lost: row.get("lost")?,
            created_at: row.get("created_at")?,
        })
    }
}

impl From<&WebhookRecord> for WebhookRow {
    fn from(record: &WebhookRecord) -> Self {
        let WebhookProgress { position, failures, retry_at, failing_since, given_up } = record.progress;
        Self {
            id: record.id.to_string(),
            tenant_id: record.tenant.to_string(),
            generation: stored(record.generation.0),
            url: record.spec.url.clone(),
            description: record.spec.description.clone(),
            events: names(&record.spec.events),
            secret: record.secret.as_bytes().to_vec(),
            enabled: record.is_enabled,
            disabled_reason: record.disabled_reason.clone(),
            position,
            failures: failures.into(),
            retry_at: retry_at.map(|at| at.0),
            failing_since: failing_since.map(|at| at.0),
            given_up: stored(given_up),
            lost: stored(record.lost),
            created_at: record.created_at.0,
        }
    }
}

impl TryFrom<WebhookRow> for WebhookRecord {
    type Error = CorruptRow;

    fn try_from(row: WebhookRow) -> Result<Self, CorruptRow> {
        let reader = Reader { table: "webhook", id: &row.id };
        let progress = WebhookProgress {
            position: row.position,
            failures: reader.parsed("failures", row.failures.try_into())?,
            retry_at: row.retry_at.map(Millis),
            failing_since: row.failing_since.map(Millis),
            given_up: reader.parsed("given_up", row.given_up.try_into())?,
        };
        let secret = reader.parsed("secret", row.secret.as_slice().try_into())?;
        let events = reader.some("events", row.filter())?;
        Ok(Self {
            id: reader.parsed("id", row.id.parse())?,
            tenant: TenantId::from_stored(&row.tenant_id),
            generation: Generation(reader.parsed("generation", row.generation.try_into())?),
            secret: WebhookSecret::from_bytes(secret),
            is_enabled: row.enabled,
            created_at: Millis(row.created_at),
            lost: reader.parsed("lost", row.lost.try_into())?,
            progress,
            spec: WebhookSpec { url: row.url, events, description: row.description },
            disabled_reason: row.disabled_reason,
        })
    }
}

impl WebhookRow {
    /// Whether it is as it was then.
    #[cfg(feature = "memory")]
    pub(crate) fn is_of(&self, generation: Generation) -> bool {
        self.generation == stored(generation.0)
    }

    /// Whether this may take the place of what is stored.
    #[cfg(feature = "memory")]
    pub(crate) fn may_replace(&self, stored: &Self) -> bool {
        stored.generation <= self.generation && stored.tenant_id == self.tenant_id
    }

    /// How many of these events, which are removed, were not over for it.
    pub(crate) fn not_over(&self, removed: &[EventRow]) -> usize {
        let filter = self.filter().unwrap_or_default();
        let is_open = |event: &&EventRow| {
            event.tenant_id == self.tenant_id && self.position < event.cursor && filter.takes(&event.name)
        };
        removed.iter().filter(is_open).count()
    }

    fn filter(&self) -> Option<EventFilter> {
        let Some(names) = &self.events else { return Some(EventFilter::All) };
        let names: Vec<String> = serde_json::from_str(names).ok()?;
        // What only a later version knows does not happen here.
        Some(EventFilter::Named(names.iter().filter_map(|name| EventName::from_stored(name)).collect()))
    }
}

fn names(filter: &EventFilter) -> Option<String> {
    match filter {
        EventFilter::All => None,
        EventFilter::Named(names) => {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            Some(serde_json::to_string(&names).expect("strings are always JSON"))
        }
    }
}

/// A row of the table `webhook_delivery`.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryRow {
    pub(crate) number: i64,
    pub(crate) webhook_id: String,
    pub(crate) tenant_id: String,
    pub(crate) event: i64,
    pub(crate) name: String,
    pub(crate) attempt: i64,
    pub(crate) result: String,
    pub(crate) status: Option<i64>,
    pub(crate) error: String,
    pub(crate) duration_us: i64,
    pub(crate) retry_at: Option<i64>,
    pub(crate) created_at: i64,
}

impl TryFrom<&Row<'_>> for DeliveryRow {
    type Error = rusqlite::Error;

    fn try_from(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get("number")?,
            webhook_id: row.get("webhook_id")?,
            tenant_id: row.get("tenant_id")?,
            event: row.get("event")?,
            name: row.get("name")?,
            attempt: row.get("attempt")?,
            result: row.get("result")?,
            status: row.get("status")?,
            error: row.get("error")?,
            duration_us: row.get("duration_us")?,
            retry_at: row.get("retry_at")?,
            created_at: row.get("created_at")?,
        })
    }
}

impl DeliveryRow {
    /// The row of an attempt with that number; whoever stores it may give it another.
    pub(crate) fn new(number: i64, delivery: &NewDelivery) -> Self {
        Self {
            number,
            webhook_id: delivery.webhook.to_string(),
            tenant_id: delivery.tenant.to_string(),
            event: delivery.event,
            name: delivery.name.clone(),
            attempt: delivery.attempt.into(),
            result: delivery.result.as_str().to_owned(),
            status: delivery.status.map(Into::into),
            error: delivery.error.clone(),
            duration_us: stored(micros(delivery.took)),
            retry_at: delivery.retry_at.map(|at| at.0),
            created_at: delivery.at.0,
        }
    }
}

impl TryFrom<DeliveryRow> for DeliveryRecord {
    type Error = CorruptRow;

    fn try_from(row: DeliveryRow) -> Result<Self, CorruptRow> {
        let id = row.number.to_string();
        let reader = Reader { table: "webhook_delivery", id: &id };
        let result = DeliveryResult::ALL.into_iter().find(|result| result.as_str() == row.result);
        let status = row.status.map(u16::try_from).transpose();
        let delivery = NewDelivery {
            webhook: reader.parsed("webhook_id", row.webhook_id.parse())?,
            tenant: TenantId::from_stored(&row.tenant_id),
            event: row.event,
            name: row.name,
            attempt: reader.parsed("attempt", row.attempt.try_into())?,
            at: Millis(row.created_at),
            took: Duration::from_micros(reader.parsed("duration_us", row.duration_us.try_into())?),
            result: reader.some("result", result)?,
            status: reader.parsed("status", status)?,
            error: row.error,
            retry_at: row.retry_at.map(Millis),
        };
        Ok(Self { number: row.number, delivery })
    }
}
