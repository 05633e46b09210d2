//! Webhooks, and what became of their deliveries.

use std::time::Duration;

use sentinal_model::{DeliveryResult, Generation, Millis, TenantId, WebhookId, WebhookSecret, WebhookSpec};

/// A webhook and all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRecord {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub tenant: TenantId,
    /// How often it was changed.
    pub generation: Generation,
    /// What it is to be.
    pub spec: WebhookSpec,
    /// What deliveries are signed with.
    pub secret: WebhookSecret,
    /// Whether events are delivered.
    pub is_enabled: bool,
    /// Why not, if its owner has not said so; empty otherwise.
    pub disabled_reason: String,
    /// When it was made.
    pub created_at: Millis,
    /// How far it is.
    pub progress: WebhookProgress,
    /// Events that retention removed before they were over for it.
    pub lost: u64,
}

/// How far a webhook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WebhookProgress {
    /// The last event that is over for it: delivered, not wanted, or given up.
    pub position: i64,
    /// How often the first event after that could not be delivered.
    pub failures: u32,
    /// When it is tried again.
    pub retry_at: Option<Millis>,
    /// Since when nothing could be delivered.
    pub failing_since: Option<Millis>,
    /// How many events were given up.
    pub given_up: u64,
}

/// An attempt to deliver an event, before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Of which webhook.
    pub webhook: WebhookId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The event's cursor.
    pub event: i64,
    /// The event's name.
    pub name: String,
    /// The first one is 1.
    pub attempt: u32,
    /// When.
    pub at: Millis,
    /// How long it took.
    pub took: Duration,
    /// What became of it.
    pub result: DeliveryResult,
    /// The receiver's HTTP status, if it answered.
    pub status: Option<u16>,
    /// A sentence about what went wrong; empty if nothing did.
    pub error: String,
    /// When the event is sent again, if it is.
    pub retry_at: Option<Millis>,
}

/// An attempt to deliver an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Monotonic over all attempts.
    pub number: i64,
    /// The attempt.
    pub delivery: NewDelivery,
}
