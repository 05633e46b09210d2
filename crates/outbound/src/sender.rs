//! One delivery of one event: signed, sent once, answered within a deadline.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use sentinal_model::{Millis, limits};
use tokio::time::{Instant, timeout};

use crate::{
    Clients, Gate, Refused,
    clients::reason,
    limits::{ANSWER_BODY_WAIT, ANSWER_BYTES_MAX, CONNECT_DEADLINE, IDLE_CONNECTIONS_MAX, IDLE_MAX},
    sign,
};

/// Delivers events to receivers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sender(Clients);

/// What is delivered.
pub struct Message<'a> {
    /// Where to.
    pub url: &'a str,
    /// What it is signed with.
    pub secret: &'a [u8],
    /// Of the event; the same however often it is sent. Without a dot.
    pub id: &'a str,
    /// When this attempt is made.
    pub at: Millis,
    /// A JSON document.
    pub body: Bytes,
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("id", &self.id).field("at", &self.at).finish_non_exhaustive()
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
    /// How long the receiver wants to be left alone.
    pub retry_after: Option<Duration>,
    /// The beginning of what it said.
    pub said: String,
    /// How long all this took.
    pub took: Duration,
}

/// Where nothing can be delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It is no address of a receiver.
    #[error("{0}")]
    Shape(&'static str),
    /// The server may not go there.
    #[error("{0}")]
    Refused(Refused),
}

impl Sender {
    /// To receivers that this gate lets through.
    pub fn new(gate: Gate) -> reqwest::Result<Self> {
        let clients = Clients::new(Arc::new(gate), |builder| {
            builder
                .connect_timeout(CONNECT_DEADLINE)
                .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
                .pool_idle_timeout(IDLE_MAX)
        });
        clients.map(Self)
    }

    /// Refuses what nothing can be delivered to. A name is looked up when something is.
    pub fn check(&self, url: &str) -> Result<(), InvalidUrl> {
        let url = parse(url)?;
        self.0.of(&url).map(drop).map_err(InvalidUrl::Refused)
    }

    /// One attempt, which ends within [`limits::WEBHOOK_DEADLINE`]. Redirects are answers like any other.
    pub async fn send(&self, message: Message<'_>) -> Answer {
        let (began, at) = (Instant::now(), message.at);
        let answer = timeout(limits::WEBHOOK_DEADLINE, self.exchange(message)).await;
        let answer = match answer {
            Ok(Ok(response)) => heard(response, at).await,
            Ok(Err(error)) => failed(error),
            Err(_) => failed(format!("it did not answer within {} seconds", limits::WEBHOOK_DEADLINE.as_secs())),
        };
        Answer { took: began.elapsed(), ..answer }
    }

    async fn exchange(&self, message: Message<'_>) -> Result<Response, String> {
        let Message { url, secret, id, at, body } = message;
        let url = parse(url).map_err(|error| error.to_string())?;
        let client = self.0.of(&url).map_err(|refused| refused.to_string())?;
        let timestamp = at.0.div_euclid(1000);
        let request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", sign(secret, id, timestamp, &body))
            .body(body);
        request.send().await.map_err(|error| reason(&error))
    }
}

fn parse(text: &str) -> Result<Url, InvalidUrl> {
    if limits::WEBHOOK_URL_BYTES_MAX < text.len() {
        return Err(InvalidUrl::Shape("is too long for an address"));
    }
    let url = Url::parse(text).map_err(|_| InvalidUrl::Shape("is no address such as https://example.com/hooks"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(InvalidUrl::Shape("is no address that begins with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(InvalidUrl::Shape("has a user, a password or a fragment; what is sent is signed instead"));
    }
    Ok(url)
}

fn failed(error: String) -> Answer {
    Answer { error: Some(error), ..Answer::default() }
}

async fn heard(response: Response, at: Millis) -> Answer {
    let (status, retry_after) = (response.status(), retry_after(response.headers(), at));
    let error = status.is_redirection().then(|| "it redirects, and redirects are not followed".to_owned());
    // What it says beside its status is for people, and worth no wait.
    let mut bytes = Vec::new();
    let _ = timeout(ANSWER_BODY_WAIT, beginning(response, &mut bytes)).await;
    let said = String::from_utf8_lossy(&bytes).chars().filter(|&c| c == '\n' || !c.is_control()).collect();
    Answer { status: Some(status.as_u16()), error, retry_after, said, took: Duration::ZERO }
}

/// As much of the body as is looked at.
async fn beginning(mut response: Response, bytes: &mut Vec<u8>) {
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ANSWER_BYTES_MAX - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() == ANSWER_BYTES_MAX {
            return;
        }
    }
}

/// `Retry-After` of RFC 9110, section 10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Millis) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Millis(0).after(date).since(now))
}

/// Whether a receiver has taken what it was sent.
impl Answer {
    /// Any status of success.
    pub fn is_taken(&self) -> bool {
        self.status.and_then(|status| StatusCode::from_u16(status).ok()).is_some_and(|status| status.is_success())
    }
}

#[cfg(test)]
mod tests;
