//! What happened, for programs.

use sentinal_model::{Error, Result, SandboxId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    LogKind,
    field::named,
    query::{Query, parse_flag, parse_limit},
};

/// A page of events, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Events {
    /// The events.
    pub items: Vec<EventItem>,
    /// What to send as `cursor` for the events after these; null when there are none yet.
    pub next: Option<String>,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventItem {
    /// Where to go on after this event: greater than that of any earlier one, and never used again.
    #[schema(example = "4711")]
    pub cursor: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub time: String,
    /// What happened, such as `sandbox.created`, `execution.started`, `execution.completed`, `file.uploaded`.
    #[serde(rename = "type")]
    #[schema(example = "sandbox.created")]
    pub name: String,
    /// In which log it stands.
    #[schema(value_type = LogKind, example = "audit")]
    pub kind: String,
    /// Which sandbox.
    pub sandbox_id: Option<String>,
    /// Which execution.
    pub execution_id: Option<String>,
    /// A sentence for people.
    pub message: String,
}

/// Which events are wanted.
#[derive(Debug, Clone)]
pub struct EventsQuery {
    /// Of this sandbox.
    pub sandbox: Option<SandboxId>,
    /// After this cursor.
    pub cursor: Option<i64>,
    /// At most so many.
    pub limit: u32,
    /// Whether to go on with events as they come.
    pub follow: bool,
}

impl TryFrom<Query> for EventsQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let parsed = Self {
            sandbox: query.take("sandbox_id").map(|id| named("sandbox_id", id.parse())).transpose()?,
            cursor: query.take("cursor").map(|text| parse_event_cursor("cursor", &text)).transpose()?,
            limit: parse_limit(query.take("limit"))?,
            follow: parse_flag("follow", query.take("follow"))?,
        };
        query.finish(&["sandbox_id", "cursor", "limit", "follow"])?;
        Ok(parsed)
    }
}

/// A cursor as [`EventItem`] has it, or `0` for the beginning.
pub fn parse_event_cursor(field: &str, text: &str) -> Result<i64> {
    let cursor = text.parse().ok().filter(|cursor| (0..i64::MAX).contains(cursor));
    cursor.ok_or_else(|| Error::invalid(format!("{field}: not the cursor of an event; 0 is the beginning")))
}

/// `Sandbox Created` as `sandbox.created`.
pub fn event_type(name: &str) -> String {
    name.to_ascii_lowercase().replace(' ', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_a_number_that_an_event_can_have() {
        assert_eq!(parse_event_cursor("cursor", "0").unwrap(), 0);
        assert_eq!(parse_event_cursor("cursor", "4711").unwrap(), 4711);
        for text in ["", "-1", "x", "1.0", "9223372036854775807", "99999999999999999999"] {
            let error = parse_event_cursor("cursor", text).unwrap_err();
            assert!(error.message().starts_with("cursor: "), "{text}: {error}");
        }
    }

    #[test]
    fn types_are_what_the_log_says_in_small_letters() {
        assert_eq!(event_type("Sandbox Created"), "sandbox.created");
    }
}
