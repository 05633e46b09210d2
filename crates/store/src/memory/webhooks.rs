//! Webhooks in memory, and what a write does to them.

use std::collections::BTreeMap;

use sentinal_model::{Generation, Result, WebhookId, limits::WEBHOOK_DELIVERIES_KEPT_MAX};

use crate::{
    NewDelivery, WebhookProgress, WebhookRecord, check,
    row::{DeliveryRow, EventRow, WebhookRow},
};

/// The tables `webhook` and `webhook_delivery`.
#[derive(Debug, Clone, Default)]
pub(in crate::memory) struct Webhooks {
    pub(in crate::memory) rows: BTreeMap<String, WebhookRow>,
    pub(in crate::memory) deliveries: BTreeMap<i64, DeliveryRow>,
    last_number: i64,
}

impl Webhooks {
    /// One that is new begins after this event.
    pub(super) fn write(&mut self, record: &WebhookRecord, newest_event: i64) -> Result<()> {
        let row = WebhookRow::from(record);
        let known = self.rows.get(&row.id);
        if known.is_some_and(|stored| !row.may_replace(stored)) {
            return Err(check::stale_webhook(record.id));
        }
        let (position, given_up, lost, created_at) = known.map_or((newest_event, 0, 0, row.created_at), |stored| {
            (stored.position, stored.given_up, stored.lost, stored.created_at)
        });
        let secret = known.map_or_else(|| row.secret.clone(), |stored| stored.secret.clone());
        let (failures, retry_at, failing_since) = (0, None, None);
        let row = WebhookRow { secret, position, failures, retry_at, failing_since, given_up, lost, created_at, ..row };
        self.rows.insert(row.id.clone(), row);
        Ok(())
    }

    pub(super) fn progress(&mut self, id: WebhookId, generation: Generation, progress: &WebhookProgress) {
        let WebhookProgress { position, failures, retry_at, failing_since, given_up } = *progress;
        if let Some(row) = self.rows.get_mut(&id.to_string()).filter(|row| row.is_of(generation)) {
            row.position = position;
            row.failures = failures.into();
            row.retry_at = retry_at.map(|at| at.0);
            row.failing_since = failing_since.map(|at| at.0);
            row.given_up = i64::try_from(given_up).unwrap_or(i64::MAX);
        }
    }

    pub(super) fn deliver(&mut self, delivery: &NewDelivery) {
        let row = DeliveryRow::new(self.last_number + 1, delivery);
        if !self.rows.contains_key(&row.webhook_id) {
            return;
        }
        self.last_number = row.number;
        let of_webhook = self.deliveries.values().rev().filter(|other| other.webhook_id == row.webhook_id);
        let kept = usize::try_from(WEBHOOK_DELIVERIES_KEPT_MAX).unwrap_or(usize::MAX);
        let surplus: Vec<i64> = of_webhook.map(|other| other.number).skip(kept.saturating_sub(1)).collect();
        self.deliveries.retain(|number, _| !surplus.contains(number));
        self.deliveries.insert(row.number, row);
    }

    pub(super) fn remove(&mut self, id: WebhookId) {
        let id = id.to_string();
        self.deliveries.retain(|_, row| row.webhook_id != id);
        self.rows.remove(&id);
    }

    /// Counts events that are removed before they were over for a webhook.
    pub(super) fn lose(&mut self, removed: &[EventRow]) {
        for row in self.rows.values_mut() {
            row.lost += i64::try_from(row.not_over(removed)).unwrap_or(i64::MAX);
        }
    }
}
