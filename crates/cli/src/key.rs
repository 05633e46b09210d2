//! `sentinal key`: who may ask the server for what.

use std::io::{self, IsTerminal as _};

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use sentinal_api::{Key, List, MadeKey, NewKey, OwnKey};
use serde_json::Value;

use crate::{
    client::Answer,
    duration::parse_seconds,
    page,
    session::Session,
    show::{self, Table, age, clean, seconds_left},
};

/// A key's fields in the order in which people look for them.
const FIRST: [&str; 5] = ["id", "name", "role", "tenant", "created_at"];

/// What `sentinal key` does.
#[derive(Debug, Args)]
pub struct KeyOptions {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key, and print it: this once and never again
    Create {
        /// What it is for
        name: String,
        /// What its holder is to be
        #[arg(long, value_name = "ROLE")]
        role: RoleName,
        /// When it expires, such as 12h or 90d from now [default: never, or with the key that makes it]
        #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
        expires_in: Option<f64>,
    },
    /// List the keys, never their secrets
    Ls {
        /// Those that were revoked or have expired, too
        #[arg(long, short)]
        all: bool,
    },
    /// Revoke keys, at once and for good
    Rm {
        /// Ids, as `sentinal key ls` shows them
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
    /// Show which key this is, and what it may do
    Whoami,
}

/// What the holder of a key is.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleName {
    /// Everything, and alone makes and revokes keys
    Admin,
    /// Runs the service: everything but keys
    Operator,
    /// Works in sandboxes
    Developer,
    /// Looks, and changes nothing
    Viewer,
    /// Reads what happened and who has which key; nothing inside a sandbox
    Auditor,
}

/// `sentinal key`.
pub(crate) async fn key(session: &Session, options: KeyOptions) -> Result<u8> {
    match options.command {
        KeyCommand::Create { name, role, expires_in } => {
            let role = role.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
            create(session, &NewKey { name, role, expires_in, expires_at: None }).await
        }
        KeyCommand::Ls { all } => ls(session, all).await,
        KeyCommand::Rm { keys } => rm(session, &keys).await,
        KeyCommand::Whoami => whoami(session).await,
    }
}

async fn create(session: &Session, new: &NewKey) -> Result<u8> {
    let answer: Answer<MadeKey> = session.client.submit(Method::POST, &["key"], new).await?;
    session.answer(&answer.json, &clean(&answer.body.key))?;
    if !session.json && io::stderr().is_terminal() {
        show::note(&format!("{} is shown this once; keep it now", clean(&answer.body.made.id)));
    }
    Ok(0)
}

async fn ls(session: &Session, all: bool) -> Result<u8> {
    let mut found: Answer<List<Key>> = page::all(&session.client, &["key"], &[]).await?;
    if !all {
        retain_usable(&mut found);
    }
    if session.json {
        show::json(&found.json)?;
        return Ok(0);
    }
    table(&found.body.items).print()?;
    Ok(0)
}

fn retain_usable(found: &mut Answer<List<Key>>) {
    let usable: Vec<bool> = found.body.items.iter().map(|key| state(key) == "usable").collect();
    let mut each = usable.iter();
    found.body.items.retain(|_| *each.next().unwrap_or(&true));
    if let Some(Value::Array(rows)) = found.json.get_mut("items") {
        let mut each = usable.iter();
        rows.retain(|_| *each.next().unwrap_or(&true));
    }
}

fn table(keys: &[Key]) -> Table {
    let mut table = Table::new(&["ID", "NAME", "ROLE", "STATE", "AGE", "LAST USED", "EXPIRES IN"]);
    for key in keys {
        table.row([
            key.id.clone(),
            key.name.clone(),
            key.role.clone(),
            state(key).to_owned(),
            age(&key.created_at),
            key.last_used_at.as_deref().map_or_else(|| "-".to_owned(), age),
            key.expires_at.as_deref().map_or_else(|| "never".to_owned(), seconds_left),
        ]);
    }
    table
}

fn state(key: &Key) -> &'static str {
    match (&key.revoked_at, &key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if seconds_left(at) == "-" => "expired",
        (None, _) => "usable",
    }
}

async fn rm(session: &Session, keys: &[String]) -> Result<u8> {
    for id in keys {
        let request = session.client.request(Method::DELETE, &["key", id]);
        let answer: Answer<Key> = session.client.ask(request).await?;
        if session.json && 1 < keys.len() {
            show::json_line(&answer.json)?;
        } else {
            session.answer(&answer.json, &clean(&answer.body.id))?;
        }
    }
    Ok(0)
}

async fn whoami(session: &Session) -> Result<u8> {
    let answer: Answer<OwnKey> = session.client.get(&["key", "self"], &[]).await?;
    session.answer(&answer.json, &show::fields(&answer.json, &FIRST))?;
    Ok(0)
}
