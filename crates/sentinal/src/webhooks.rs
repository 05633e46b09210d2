//! Who sends events for the controller: the sender that the gate lets out, with events as the API tells them.

use anyhow::Context as _;
use async_trait::async_trait;
use sentinal_controller::{SendWebhooks, WebhookAnswer, WebhookMessage};
use sentinal_gateway::event_document;
use sentinal_model::{Code, Error, Result};
use sentinal_outbound::{Gate, InvalidUrl, Message, Sender};

/// Sends to public addresses, and to these hosts.
#[derive(Debug)]
pub(crate) struct Webhooks(Sender);

impl Webhooks {
    /// To these hosts beside those that everybody can see.
    pub(crate) fn open(hosts: &[String]) -> anyhow::Result<Self> {
        let gate = Gate::new("--webhook", hosts).context("--webhook")?;
        Ok(Self(Sender::new(gate).context("cannot make ready to deliver events")?))
    }
}

#[async_trait]
impl SendWebhooks for Webhooks {
    fn check(&self, url: &str) -> Result<()> {
        self.0.check(url).map_err(|error| match error {
            InvalidUrl::Shape(why) => Error::invalid(format!("url: {why}")),
            InvalidUrl::Refused(refused) => {
                Error::new(Code::Forbidden, format!("url: events are not delivered to {refused}"))
            }
        })
    }

    async fn send(&self, message: WebhookMessage<'_>) -> WebhookAnswer {
        let WebhookMessage { record, id, at, event } = message;
        let (url, secret) = (record.spec.url.as_str(), record.secret.as_bytes().as_slice());
        let body = event_document(event.clone()).into();
        let answer = self.0.send(Message { url, secret, id: &id, at, body }).await;
        WebhookAnswer {
            status: answer.status,
            error: answer.error,
            retry_after: answer.retry_after,
            said: answer.said,
            took: answer.took,
        }
    }
}
