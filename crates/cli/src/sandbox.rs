//! `create`, `ls`, `get`, `rm`, `pause`, `resume`, `extend`: the life of sandboxes.

mod list;

use std::io::{self, IsTerminal as _};

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use sentinal_api::{CreateSandbox, Sandbox, UpdateSandbox};
use serde_json::{Value, json};

pub(crate) use list::{LsOptions, ls};

use crate::{
    client::Answer,
    duration::parse_seconds,
    session::Session,
    show::{self, clean},
    size::SizeOptions,
};

/// The fields of a sandbox in the order in which people look for them.
const FIRST: [&str; 12] = [
    "id",
    "state",
    "outcome",
    "message",
    "engine",
    "isolation",
    "engine_reason",
    "image",
    "cpu",
    "memory",
    "disk",
    "created_at",
];

/// What `create` makes.
#[derive(Debug, Args)]
pub struct CreateOptions {
    #[command(flatten)]
    size: SizeOptions,
    /// How long it lives, such as 90s, 5m or 2h, at most a day [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    ttl: Option<f64>,
    /// End it once it has been idle for so long: no program runs, no file goes in or out
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    idle_timeout: Option<f64>,
    /// How long to wait until it runs, at most 2m; 0 answers at once [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    wait: Option<f64>,
}

/// Which sandboxes.
#[derive(Debug, Args)]
pub struct SandboxesOptions {
    /// Ids, or beginnings of them that mean one each
    #[arg(required = true, value_name = "SANDBOX")]
    sandboxes: Vec<String>,
}

/// Which sandboxes are to go.
#[derive(Debug, Args)]
pub struct RmOptions {
    /// Ids, or beginnings of them that mean one each
    #[arg(required_unless_present = "labels", value_name = "SANDBOX")]
    sandboxes: Vec<String>,
    /// All with this label; given more than once: with all of them
    #[arg(long = "label", short = 'l', value_name = "KEY=VALUE", conflicts_with = "sandboxes")]
    labels: Vec<String>,
}

/// How long a sandbox is to live.
#[derive(Debug, Args)]
pub struct ExtendOptions {
    /// Its id, or the beginning of it
    sandbox: String,
    /// How long it lives from now on, such as 90s, 5m or 2h, at most a day
    #[arg(value_name = "TIME", value_parser = parse_seconds)]
    ttl: f64,
}

/// `sentinal create`: prints the id alone, so that a script can keep it.
pub(crate) async fn create(session: &Session, options: &CreateOptions) -> Result<u8> {
    let CreateOptions { size, ttl, idle_timeout, wait } = options;
    let body = CreateSandbox { ttl: *ttl, idle_timeout: *idle_timeout, wait: *wait, ..size.create()? };
    let made: Answer<Sandbox> = session.client.make_once(&["sandbox"], &body).await?;
    if io::stdout().is_terminal() && !session.json {
        show::note(&described(&made.body));
    }
    session.answer(&made.json, &made.body.id)?;
    Ok(0)
}

/// What has come of a request, in a sentence.
fn described(sandbox: &Sandbox) -> String {
    let Sandbox { state, engine, isolation, expires_at, .. } = sandbox;
    let engine = engine.as_deref().unwrap_or("an engine to be chosen");
    let isolation = isolation.as_ref().map_or_else(String::new, |tier| format!(" ({tier})"));
    clean(&format!("{state} on {engine}{isolation}, ends in {}", show::seconds_left(expires_at)))
}

/// `sentinal get`.
pub(crate) async fn get(session: &Session, options: &SandboxesOptions) -> Result<u8> {
    each(session, &options.sandboxes, async |id| {
        let answer: Answer<Sandbox> = session.client.get(&["sandbox", id], &[]).await?;
        let text = show::fields(&answer.json, &FIRST);
        Ok((answer.json, text))
    })
    .await
}

/// `sentinal rm`.
pub(crate) async fn rm(session: &Session, options: &RmOptions) -> Result<u8> {
    let named = if options.labels.is_empty() {
        options.sandboxes.clone()
    } else {
        list::labelled(session, &options.labels).await?
    };
    each(session, &named, async |id| {
        let answer: Answer<Sandbox> =
            session.client.ask(session.client.request(Method::DELETE, &["sandbox", id])).await?;
        Ok((answer.json, answer.body.id))
    })
    .await
}

/// `sentinal pause`.
pub(crate) async fn pause(session: &Session, options: &SandboxesOptions) -> Result<u8> {
    act(session, options, "pause").await
}

/// `sentinal resume`.
pub(crate) async fn resume(session: &Session, options: &SandboxesOptions) -> Result<u8> {
    act(session, options, "resume").await
}

async fn act(session: &Session, options: &SandboxesOptions, action: &str) -> Result<u8> {
    each(session, &options.sandboxes, async |id| {
        let path = ["sandbox", id, action];
        let answer: Answer<Sandbox> = session.client.submit(Method::POST, &path, &json!({})).await?;
        Ok((answer.json, answer.body.id))
    })
    .await
}

/// `sentinal extend`.
pub(crate) async fn extend(session: &Session, options: &ExtendOptions) -> Result<u8> {
    let id = session.sandbox_id(&options.sandbox).await?;
    let body = UpdateSandbox { ttl: Some(options.ttl), labels: None };
    let answer: Answer<Sandbox> = session.client.submit(Method::PATCH, &["sandbox", &id], &body).await?;
    session.answer(&answer.json, &format!("{id} ends in {}", show::seconds_left(&answer.body.expires_at)))?;
    Ok(0)
}

/// Does the same with each of them.
async fn each(session: &Session, named: &[String], act: impl AsyncFn(&str) -> Result<(Value, String)>) -> Result<u8> {
    let by_id = async |name: &str| act(&session.sandbox_id(name).await?).await;
    session.each(named, by_id).await
}
