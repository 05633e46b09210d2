//! Saying that a request, sent again, is the same request.

use std::{fmt, str::FromStr};

use crate::{ExecutionId, SandboxId, WebhookId, limits};

/// What a caller calls one request, however often it is sent: 1 to [`limits::IDEMPOTENCY_KEY_BYTES_MAX`] visible
/// characters of ASCII, compared as they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

/// Text that is no idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is 1 to {max} visible characters of ASCII, such as a UUID; this one is not", max = limits::IDEMPOTENCY_KEY_BYTES_MAX)]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || limits::IDEMPOTENCY_KEY_BYTES_MAX < text.len() || !is_visible {
            return Err(InvalidIdempotencyKey);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request that makes something at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// What its caller calls it.
    pub key: IdempotencyKey,
    /// A SHA-256 digest of all that it asks for: what comes under the same key with another one is another request.
    pub request: [u8; 32],
}

/// What a request has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// A sandbox.
    Sandbox(SandboxId),
    /// An execution.
    Execution(ExecutionId),
    /// A webhook.
    Webhook(WebhookId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_few_visible_characters() {
        for key in ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "\"quoted\"", &"k".repeat(255)] {
            assert_eq!(key.parse::<IdempotencyKey>().unwrap().as_str(), key);
        }
        for text in ["", " ", "a b", "a\n", "schlüssel", &"k".repeat(256)] {
            assert_eq!(text.parse::<IdempotencyKey>(), Err(InvalidIdempotencyKey), "{text:?}");
        }
    }
}
