//! What delivering events to webhooks records.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use sentinal_model::DeliveryResult;

use super::{Metrics, step_seconds};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

pub(super) struct Figures {
    attempts: Family<ResultLabels, Counter>,
    attempt_seconds: Histogram,
    disabled: Counter,
    lost: Counter,
}

impl Figures {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let figures = Self {
            attempts: Family::default(),
            attempt_seconds: step_seconds(),
            disabled: Counter::default(),
            lost: Counter::default(),
        };
        registry.register(
            "sentinal_webhook_attempts",
            "Attempts to deliver an event: delivered, failed (it is sent again) or given_up",
            figures.attempts.clone(),
        );
        registry.register(
            "sentinal_webhook_attempt_seconds",
            "How many seconds attempts to deliver an event took",
            figures.attempt_seconds.clone(),
        );
        registry.register(
            "sentinal_webhook_disabled",
            "Webhooks that were disabled because they took nothing, or said that they are gone",
            figures.disabled.clone(),
        );
        registry.register(
            "sentinal_webhook_events_lost",
            "Events that retention removed before they were delivered",
            figures.lost.clone(),
        );
        figures
    }
}

impl Metrics {
    /// An event was sent to a webhook.
    pub fn webhook_attempted(&self, result: DeliveryResult, took: Duration) {
        let labels = ResultLabels { result: result.as_str() };
        self.0.webhook.attempts.get_or_create(&labels).inc();
        self.0.webhook.attempt_seconds.observe(took.as_secs_f64());
    }

    /// A webhook was disabled, and not by its owner.
    pub fn webhook_disabled(&self) {
        self.0.webhook.disabled.inc();
    }

    /// Events of a webhook were removed before they were delivered.
    pub fn webhook_lost(&self, events: u64) {
        self.0.webhook.lost.inc_by(events);
    }
}
