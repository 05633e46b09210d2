//! `sentinal engines`: what the server can run sandboxes on.

use anyhow::Result;
use clap::Args;
use sentinal_api::{Engine, List};

use crate::{
    client::Answer,
    session::Session,
    show::{self, Table},
};

/// Nothing to choose.
#[derive(Debug, Args)]
pub struct EnginesOptions {}

/// `sentinal engines`.
pub(crate) async fn engines(session: &Session) -> Result<u8> {
    let answer: Answer<List<Engine>> = session.client.get(&["engine"], &[]).await?;
    if session.json {
        show::json(&answer.json)?;
        return Ok(0);
    }
    table(&answer.body.items).print()?;
    Ok(0)
}

/// The engines, the usable ones with their version, the others with their reason.
pub(crate) fn table(engines: &[Engine]) -> Table {
    let mut table = Table::new(&["ENGINE", "ISOLATION", "USABLE", "VERSION, OR WHY NOT"]);
    for engine in engines {
        let usable = match (engine.allowed, engine.available) {
            (true, true) => "yes",
            (false, _) => "not allowed",
            (true, false) => "no",
        };
        let detail = engine.version.clone().or_else(|| engine.reason.clone()).unwrap_or_default();
        table.row([engine.name.clone(), engine.isolation.clone(), usable.to_owned(), detail]);
    }
    table
}
