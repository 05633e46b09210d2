//! Webhooks: where events are delivered to.

use std::fmt;

use crate::EventFilter;

/// What deliveries are signed with. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WebhookSecret([u8; 32]);

impl WebhookSecret {
    /// A secret that nobody can guess, if nobody can guess these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For whoever signs, stores, or tells its owner.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What a webhook is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSpec {
    /// Where events are delivered to.
    pub url: String,
    /// Which.
    pub events: EventFilter,
    /// What it is for, in its owner's words.
    pub description: String,
}

/// What is to be changed of a webhook; the rest stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookUpdate {
    /// Another address.
    pub url: Option<String>,
    /// Other events.
    pub events: Option<EventFilter>,
    /// Other words.
    pub description: Option<String>,
    /// Whether events are delivered.
    pub is_enabled: Option<bool>,
}

/// What became of an attempt to deliver an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryResult {
    /// The receiver has taken it.
    Delivered,
    /// It has not.
    Failed,
    /// It has not, and it will not be sent again.
    GivenUp,
}

impl DeliveryResult {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::GivenUp];

    /// As callers, tables and figures have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", WebhookSecret::from_bytes([7; 32])), "[redacted]");
    }
}
