//! Webhooks in the words of the API.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sentinal_api as v1;
use sentinal_controller::{DeliveryRecord, WebhookAnswer, WebhookRecord, event_id};

use super::non_empty;

/// What a secret begins with, as Standard Webhooks have it.
const SECRET_PREFIX: &str = "whsec_";

/// A webhook as callers see it.
pub(crate) fn webhook(record: WebhookRecord) -> v1::Webhook {
    let progress = record.progress;
    v1::Webhook {
        id: record.id.to_string(),
        url: record.spec.url,
        events: v1::event_types(&record.spec.events),
        description: record.spec.description,
        enabled: record.is_enabled,
        disabled_reason: non_empty(record.disabled_reason),
        cursor: progress.position.to_string(),
        failures: progress.failures,
        failing_since: progress.failing_since.map(v1::time_text),
        next_attempt_at: progress.retry_at.map(v1::time_text),
        given_up: progress.given_up,
        lost: record.lost,
        created_at: v1::time_text(record.created_at),
    }
}

/// A webhook as its creator sees it, once.
pub(crate) fn created_webhook(record: WebhookRecord) -> v1::CreatedWebhook {
    let secret = format!("{SECRET_PREFIX}{}", STANDARD.encode(record.secret.as_bytes()));
    v1::CreatedWebhook { webhook: webhook(record), secret }
}

/// What came of a test event.
pub(crate) fn webhook_test(answer: WebhookAnswer) -> v1::WebhookTest {
    v1::WebhookTest {
        delivered: answer.is_taken(),
        status: answer.status,
        error: answer.error,
        answer: answer.said,
        duration_ms: answer.took.as_secs_f64() * 1000.0,
    }
}

/// An attempt as callers see it.
pub(crate) fn delivery(record: DeliveryRecord) -> v1::Delivery {
    let delivery = record.delivery;
    v1::Delivery {
        cursor: record.number.to_string(),
        time: v1::time_text(delivery.at),
        event_id: event_id(delivery.event),
        event_type: v1::event_type(&delivery.name),
        attempt: delivery.attempt,
        result: delivery.result.as_str().to_owned(),
        status: delivery.status,
        error: non_empty(delivery.error),
        duration_ms: delivery.took.as_secs_f64() * 1000.0,
        next_attempt_at: delivery.retry_at.map(v1::time_text),
    }
}
