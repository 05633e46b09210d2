//! Webhooks as callers see them and ask for them.

use std::{collections::BTreeSet, fmt};

use sentinal_model::{Error, EventFilter, EventName, Result, WebhookId, WebhookSpec, WebhookUpdate as Update, limits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    event::event_type,
    query::{PageQuery, Query},
};

/// All events, also those that later versions tell of.
const ALL: &str = "*";

/// Where events are delivered to, and how far that is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Begins with `whk_`.
    #[schema(example = "whk_0190f5c8e4b07c3e9f6a8d2b4c5e6f70")]
    pub id: String,
    /// Where to.
    #[schema(example = "https://receiver.example.com/sentinal")]
    pub url: String,
    /// Types of events, or `*` for all.
    #[schema(example = json!(["sandbox.created", "execution.completed"]))]
    pub events: Vec<String>,
    /// What it is for.
    #[schema(example = "the build farm")]
    pub description: String,
    /// Whether events are delivered.
    #[schema(example = true)]
    pub enabled: bool,
    /// Why not, if nobody has said so; null otherwise.
    pub disabled_reason: Option<String>,
    /// The event after which it goes on, as `cursor` of events.
    #[schema(example = "4711")]
    pub cursor: String,
    /// How often the event that is due could not be delivered; zero if that is not known yet or it was.
    pub failures: u32,
    /// Since when nothing could be delivered; null if the last attempt went well.
    #[schema(format = DateTime)]
    pub failing_since: Option<String>,
    /// When the event that is due is sent again.
    #[schema(format = DateTime)]
    pub next_attempt_at: Option<String>,
    /// Events that were given up after the last attempt.
    pub given_up: u64,
    /// Events that were removed, at the end of the time for which they are kept, before they could be delivered.
    pub lost: u64,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// A webhook, and what its deliveries are signed with.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedWebhook {
    /// The webhook itself.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// `whsec_` and base64, as Standard Webhooks have it. It is shown here and never again.
    #[schema(example = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")]
    pub secret: String,
}

impl fmt::Debug for CreatedWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedWebhook").field("webhook", &self.webhook).field("secret", &"[redacted]").finish()
    }
}

/// A webhook to be created.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"url": "https://receiver.example.com/sentinal", "events": ["sandbox.created", "execution.completed"]}))]
pub struct CreateWebhook {
    /// `https://`, and a public address unless the operator has named the host; at most 2048 bytes, without a user and
    /// without a fragment.
    pub url: String,
    /// Types of events; all unless told.
    #[schema(value_type = Option<Vec<crate::EventType>>)]
    pub events: Option<Vec<String>>,
    /// What it is for, at most 256 bytes.
    pub description: Option<String>,
}

/// What is to be changed of a webhook; what is left out stays as it is.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
#[schema(example = json!({"enabled": true, "events": ["*"]}))]
pub struct UpdateWebhook {
    /// Another address.
    pub url: Option<String>,
    /// Other types of events.
    #[schema(value_type = Option<Vec<crate::EventType>>)]
    pub events: Option<Vec<String>>,
    /// Other words.
    pub description: Option<String>,
    /// Whether events are delivered. One that is enabled again goes on where it was.
    pub enabled: Option<bool>,
}

/// An attempt to deliver an event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// What to send as `cursor` for older ones.
    #[schema(example = "12")]
    pub cursor: String,
    /// When; RFC 3339.
    #[schema(format = DateTime)]
    pub time: String,
    /// As the header `webhook-id` has it.
    #[schema(example = "evt_4711")]
    pub event_id: String,
    /// What happened.
    #[schema(example = "sandbox.created")]
    pub event_type: String,
    /// The first attempt of an event is 1.
    #[schema(example = 2)]
    pub attempt: u32,
    /// What became of it; `given_up` is the last attempt of an event.
    #[schema(value_type = crate::DeliveryResult, example = "failed")]
    pub result: String,
    /// The receiver's HTTP status; null without an answer.
    #[schema(example = 503)]
    pub status: Option<u16>,
    /// What went wrong beside the status.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// When the event is sent again; null if it is not.
    #[schema(format = DateTime)]
    pub next_attempt_at: Option<String>,
}

/// What came of a test event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"delivered": true, "status": 200, "error": null, "answer": "ok", "duration_ms": 12.5}))]
pub struct WebhookTest {
    /// Whether the receiver has taken it.
    pub delivered: bool,
    /// The receiver's HTTP status; null without an answer.
    pub status: Option<u16>,
    /// What went wrong beside the status.
    pub error: Option<String>,
    /// The beginning of what the receiver said, at most 1024 bytes.
    pub answer: String,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
}

/// Which webhooks.
#[derive(Debug)]
pub struct WebhooksQuery(pub PageQuery<WebhookId>);

/// Which attempts.
#[derive(Debug)]
pub struct DeliveriesQuery(pub PageQuery<i64>);

impl TryFrom<CreateWebhook> for WebhookSpec {
    type Error = Error;

    fn try_from(wire: CreateWebhook) -> Result<Self> {
        let CreateWebhook { url, events, description } = wire;
        Ok(Self {
            url: parse_url(url)?,
            events: events.map(|names| parse_events(&names)).transpose()?.unwrap_or_default(),
            description: parse_description(description.unwrap_or_default())?,
        })
    }
}

impl TryFrom<UpdateWebhook> for Update {
    type Error = Error;

    fn try_from(wire: UpdateWebhook) -> Result<Self> {
        let UpdateWebhook { url, events, description, enabled } = wire;
        let update = Self {
            url: url.map(parse_url).transpose()?,
            events: events.map(|names| parse_events(&names)).transpose()?,
            description: description.map(parse_description).transpose()?,
            is_enabled: enabled,
        };
        if update == Self::default() {
            return Err(Error::invalid("the body changes nothing; give url, events, description or enabled"));
        }
        Ok(update)
    }
}

impl TryFrom<Query> for WebhooksQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let page = PageQuery::take(&mut query)?;
        query.finish(&["limit", "cursor"])?;
        Ok(Self(page))
    }
}

impl TryFrom<Query> for DeliveriesQuery {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let page = PageQuery::take(&mut query)?;
        query.finish(&["limit", "cursor"])?;
        Ok(Self(page))
    }
}

/// Types of events, as answers name them.
pub fn event_types(filter: &EventFilter) -> Vec<String> {
    match filter {
        EventFilter::All => vec![ALL.to_owned()],
        EventFilter::Named(names) => names.iter().map(|name| event_type(name.as_str())).collect(),
    }
}

/// Where an address may lead is looked at by whoever sends there.
fn parse_url(url: String) -> Result<String> {
    if url.is_empty() || limits::WEBHOOK_URL_BYTES_MAX < url.len() || url.chars().any(char::is_control) {
        let max = limits::WEBHOOK_URL_BYTES_MAX;
        return Err(Error::invalid(format!("url: write an address of 1 to {max} bytes that begins with https://")));
    }
    Ok(url)
}

fn parse_events(names: &[String]) -> Result<EventFilter> {
    if names == [ALL] {
        return Ok(EventFilter::All);
    }
    let named: BTreeSet<EventName> = names.iter().map(|name| parse_event(name)).collect::<Result<_>>()?;
    if named.is_empty() {
        return Err(Error::invalid("events: name at least one type, or write [\"*\"] for all"));
    }
    Ok(EventFilter::Named(named))
}

fn parse_event(name: &str) -> Result<EventName> {
    let known = EventName::ALL.iter().copied().find(|known| event_type(known.as_str()) == name);
    known.ok_or_else(|| {
        let name: String = name.chars().take(64).collect();
        let known: Vec<String> = EventName::ALL.iter().map(|known| event_type(known.as_str())).collect();
        Error::invalid(format!("events: {name:?} is no type of event; known are \"*\" alone, {}", known.join(", ")))
    })
}

fn parse_description(text: String) -> Result<String> {
    let max = limits::WEBHOOK_DESCRIPTION_BYTES_MAX;
    if max < text.len() || text.chars().any(char::is_control) {
        return Err(Error::invalid(format!("description: has more than {max} bytes, or control characters")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(body: &str) -> Result<WebhookSpec> {
        crate::parse_json::<CreateWebhook>(body.as_bytes())?.try_into()
    }

    fn update(body: &str) -> Result<Update> {
        crate::parse_json::<UpdateWebhook>(body.as_bytes())?.try_into()
    }

    #[test]
    fn all_events_are_wanted_unless_told() {
        for body in [r#"{"url":"https://a.b/"}"#, r#"{"url":"https://a.b/","events":["*"]}"#] {
            assert_eq!(event_types(&create(body).unwrap().events), ["*"]);
        }
        let named = r#"{"url":"https://a.b/","events":["execution.completed","sandbox.created","sandbox.created"]}"#;
        assert_eq!(event_types(&create(named).unwrap().events), ["sandbox.created", "execution.completed"]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let check = |body: &str, words: &str| {
            let message = create(body).unwrap_err().message().to_owned();
            assert!(message.starts_with(words), "{body}: {message}");
        };
        check(r#"{"url":""}"#, "url: write an address");
        check(r#"{"url":"https://a.b/\n"}"#, "url: write an address");
        check(r#"{"url":"https://a.b/","events":[]}"#, "events: name at least one type");
        check(
            r#"{"url":"https://a.b/","events":["sandbox.create"]}"#,
            "events: \"sandbox.create\" is no type of event",
        );
        check(r#"{"url":"https://a.b/","events":["*","sandbox.created"]}"#, "events: \"*\" is no type of event");
        check(r#"{"url":"https://a.b/","secret":"x"}"#, "unknown field \"secret\"");
        let long = format!(r#"{{"url":"https://a.b/","description":"{}"}}"#, "x".repeat(257));
        check(&long, "description: has more than 256 bytes");
        let message = update("{}").unwrap_err().message().to_owned();
        assert_eq!(message, "the body changes nothing; give url, events, description or enabled");
        assert_eq!(update(r#"{"enabled":false}"#).unwrap().is_enabled, Some(false));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let text = r#"{"id":"","url":"","events":[],"description":"","enabled":true,"disabled_reason":null,"cursor":"1",
            "failures":0,"failing_since":null,"next_attempt_at":null,"given_up":0,"lost":0,"created_at":"","secret":"whsec_x"}"#;
        let webhook: CreatedWebhook = serde_json::from_str(text).unwrap();
        assert!(!format!("{webhook:?}").contains("whsec_x"));
    }
}
