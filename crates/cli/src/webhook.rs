//! `sentinal webhook`: where events are delivered to.

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use sentinal_api::{CreateWebhook, CreatedWebhook, Webhook, WebhookTest};
use sentinal_model::WebhookId;
use serde_json::json;

use crate::{
    client::Answer,
    failure::Failure,
    page,
    session::Session,
    show::{self, Table, age, clean},
};

/// The fields of a webhook in the order in which people look for them.
const FIRST: [&str; 6] = ["id", "url", "enabled", "disabled_reason", "events", "description"];

/// What `sentinal webhook` does.
#[derive(Debug, Args)]
pub struct WebhookOptions {
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    /// Have events delivered to an address; print the webhook's id and the secret, which is shown this once
    Create {
        /// Where to: https://..., or what the operator has named
        // Not `url`: that is the server's.
        #[arg(value_name = "URL")]
        receiver: String,
        /// Only this type, such as sandbox.created; may be given more than once [default: all]
        #[arg(long = "event", short, value_name = "TYPE")]
        events: Vec<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// List webhooks
    Ls {
        /// Print the ids alone
        #[arg(long, short)]
        quiet: bool,
    },
    /// Show how far a webhook is, and whether its receiver takes what it is sent
    Get {
        /// Its id, or the beginning of it
        webhook: String,
    },
    /// Remove webhooks
    Rm {
        /// Ids, or beginnings of them that mean one each
        #[arg(required = true, value_name = "WEBHOOK")]
        webhooks: Vec<String>,
    },
    /// Send a test event, and print what came back; the exit status is 1 if the receiver has not taken it
    Test {
        /// Its id, or the beginning of it
        webhook: String,
    },
}

/// `sentinal webhook`.
pub(crate) async fn webhook(session: &Session, options: WebhookOptions) -> Result<u8> {
    match options.command {
        WebhookCommand::Create { receiver, events, description } => {
            let events = Some(events).filter(|events| !events.is_empty());
            create(session, &CreateWebhook { url: receiver, events, description }).await
        }
        WebhookCommand::Ls { quiet } => list(session, quiet).await,
        WebhookCommand::Get { webhook } => get(session, &webhook).await,
        WebhookCommand::Rm { webhooks } => remove(session, &webhooks).await,
        WebhookCommand::Test { webhook } => test(session, &webhook).await,
    }
}

/// Prints the id and the secret on one line, so that a script can keep both.
async fn create(session: &Session, body: &CreateWebhook) -> Result<u8> {
    let made: Answer<CreatedWebhook> = session.client.submit(Method::POST, &["webhook"], body).await?;
    let CreatedWebhook { webhook, secret } = &made.body;
    session.answer(&made.json, &clean(&format!("{} {secret}", webhook.id)))?;
    Ok(0)
}

async fn list(session: &Session, quiet: bool) -> Result<u8> {
    let found = page::all::<Webhook>(&session.client, &["webhook"], &[]).await?;
    match (session.json, quiet) {
        (true, _) => show::json(&found.json)?,
        (false, true) => found.body.items.iter().try_for_each(|webhook| show::line(&clean(&webhook.id)))?,
        (false, false) => table(&found.body.items).print()?,
    }
    Ok(0)
}

fn table(webhooks: &[Webhook]) -> Table {
    let mut table = Table::new(&["ID", "STATE", "AGE", "EVENTS", "URL"]);
    for webhook in webhooks {
        let state = match (webhook.enabled, &webhook.failing_since) {
            (false, _) => "disabled".to_owned(),
            (true, Some(since)) => format!("failing {}", age(since)),
            (true, None) => "enabled".to_owned(),
        };
        let events = webhook.events.join(" ");
        table.row([webhook.id.clone(), state, age(&webhook.created_at), events, webhook.url.clone()]);
    }
    table
}

async fn get(session: &Session, name: &str) -> Result<u8> {
    let id = webhook_id(session, name).await?;
    let answer: Answer<Webhook> = session.client.get(&["webhook", &id], &[]).await?;
    session.answer(&answer.json, &show::fields(&answer.json, &FIRST))?;
    Ok(0)
}

async fn remove(session: &Session, names: &[String]) -> Result<u8> {
    for name in names {
        let id = webhook_id(session, name).await?;
        session.client.send(session.client.request(Method::DELETE, &["webhook", &id])).await?;
        session.answer(&json!({"id": id}), &id)?;
    }
    Ok(0)
}

async fn test(session: &Session, name: &str) -> Result<u8> {
    let id = webhook_id(session, name).await?;
    let path = ["webhook", &id, "test"];
    let answer: Answer<WebhookTest> = session.client.submit(Method::POST, &path, &json!({})).await?;
    session.answer(&answer.json, &show::fields(&answer.json, &["delivered", "status", "error", "duration_ms"]))?;
    Ok(u8::from(!answer.body.delivered))
}

/// The id of the webhook whose id is, or begins with, `name`. There are few.
async fn webhook_id(session: &Session, name: &str) -> Result<String> {
    if name.parse::<WebhookId>().is_ok() {
        return Ok(name.to_owned());
    }
    let all = page::all::<Webhook>(&session.client, &["webhook"], &[]).await?.body.items;
    let meant: Vec<&str> = all.iter().map(|webhook| webhook.id.as_str()).filter(|id| id.starts_with(name)).collect();
    match meant.as_slice() {
        [one] if !name.is_empty() => Ok((*one).to_owned()),
        [] => Err(Failure::usage(format!(
            "no webhook has an id that begins with {name:?}; `sentinal webhook ls` lists them"
        ))),
        _ => Err(Failure::usage(format!("{name:?} is the beginning of more than one id: {}", meant.join(", ")))),
    }
}
