//! Sandboxes as rows and as fields.

use anyhow::Result;
use clap::Args;
use sentinal_api::{List, Sandbox};
use serde_json::Value;

use crate::{
    client::Answer,
    page,
    session::Session,
    show::{self, Table, age, clean, seconds_left},
    size::pairs,
};

/// Which sandboxes are listed.
#[derive(Debug, Args)]
pub struct LsOptions {
    /// Those that have ended, too, as long as the server keeps their records
    #[arg(long, short)]
    all: bool,
    /// Only those with this label; given more than once: with all of them
    #[arg(long = "label", short = 'l', value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Print the ids alone
    #[arg(long, short)]
    quiet: bool,
}

/// `sentinal ls`.
pub(crate) async fn ls(session: &Session, options: &LsOptions) -> Result<u8> {
    let mut found = matching(session, &options.labels).await?;
    if !options.all {
        retain_alive(&mut found);
    }
    let sandboxes = &found.body.items;
    match (session.json, options.quiet) {
        (true, _) => show::json(&found.json)?,
        (false, true) => sandboxes.iter().try_for_each(|sandbox| show::line(&clean(&sandbox.id)))?,
        (false, false) => table(sandboxes).print()?,
    }
    Ok(0)
}

/// The ids of those with all these labels that have not ended.
pub(super) async fn labelled(session: &Session, labels: &[String]) -> Result<Vec<String>> {
    let mut found = matching(session, labels).await?;
    retain_alive(&mut found);
    Ok(found.body.items.into_iter().map(|sandbox| sandbox.id).collect())
}

async fn matching(session: &Session, labels: &[String]) -> Result<Answer<List<Sandbox>>> {
    pairs("--label", labels)?;
    let query: Vec<(&str, &str)> = labels.iter().map(|label| ("label", label.as_str())).collect();
    page::all(&session.client, &["sandbox"], &query).await
}

fn retain_alive(found: &mut Answer<List<Sandbox>>) {
    found.body.items.retain(|sandbox| sandbox.finished_at.is_none());
    if let Some(Value::Array(rows)) = found.json.get_mut("items") {
        rows.retain(|row| row["finished_at"].is_null());
    }
}

fn table(sandboxes: &[Sandbox]) -> Table {
    let mut table = Table::new(&["ID", "STATE", "ENGINE", "CPU", "MEMORY", "AGE", "ENDS IN", "LABELS"]);
    for sandbox in sandboxes {
        let labels: Vec<String> = sandbox.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        table.row([
            sandbox.id.clone(),
            sandbox.outcome.clone().unwrap_or_else(|| sandbox.state.clone()),
            sandbox.engine.clone().unwrap_or_else(|| "-".to_owned()),
            sandbox.cpu.to_string(),
            sandbox.memory.clone(),
            age(&sandbox.created_at),
            if sandbox.finished_at.is_some() { "-".to_owned() } else { seconds_left(&sandbox.expires_at) },
            labels.join(" "),
        ]);
    }
    table
}
