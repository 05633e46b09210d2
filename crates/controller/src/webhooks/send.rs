//! Who sends events to the outside.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use sentinal_model::{Code, Error, Millis, Result};
use sentinal_store::{EventRecord, WebhookRecord};

/// Sends events to receivers, about which nothing is known but an address.
#[async_trait]
pub trait SendWebhooks: Send + Sync + fmt::Debug {
    /// Refuses an address to which nothing could ever be sent, as far as that can be told without asking anybody.
    fn check(&self, url: &str) -> Result<()>;

    /// Sends once, and ends within [`sentinal_model::limits::WEBHOOK_DEADLINE`].
    async fn send(&self, message: WebhookMessage<'_>) -> WebhookAnswer;
}

/// An event on its way.
#[derive(Debug)]
pub struct WebhookMessage<'a> {
    /// To where, and what it is signed with.
    pub record: &'a WebhookRecord,
    /// The same however often the event is sent.
    pub id: String,
    /// When this attempt is made.
    pub at: Millis,
    /// The event.
    pub event: &'a EventRecord,
}

/// What an event is called where it is delivered to.
pub fn event_id(cursor: i64) -> String {
    format!("evt_{cursor}")
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookAnswer {
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Why there was none, or why it counts for nothing.
    pub error: Option<String>,
    /// How long the receiver wants to be left alone.
    pub retry_after: Option<Duration>,
    /// The beginning of what it said.
    pub said: String,
    /// How long it took.
    pub took: Duration,
}

impl WebhookAnswer {
    /// Whether the receiver has the event now.
    pub fn is_taken(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether it wants no event any more.
    pub(super) fn is_gone(&self) -> bool {
        self.status == Some(410)
    }
}

/// A server that sends nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWebhooks;

#[async_trait]
impl SendWebhooks for NoWebhooks {
    fn check(&self, _: &str) -> Result<()> {
        Err(Error::new(Code::NotSupported, "this server delivers no events"))
    }

    async fn send(&self, _: WebhookMessage<'_>) -> WebhookAnswer {
        let error = Some("this server delivers no events".to_owned());
        WebhookAnswer { error, ..WebhookAnswer::default() }
    }
}
