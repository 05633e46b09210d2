//! What every command has: a server, and how to answer.

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use crate::{client::Client, name, server::ServerOptions, show};

/// A command's own options, and those that all commands share.
#[derive(Debug, Args)]
pub struct With<T: Args> {
    #[command(flatten)]
    pub(crate) options: T,
    #[command(flatten)]
    server: ServerOptions,
    /// Print the API's JSON: one document, or one a line where it goes on
    #[arg(long, global = true, help_heading = None)]
    json: bool,
}

/// A server, and how to answer.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) json: bool,
}

impl<T: Args> With<T> {
    /// The command's own options, and the server to ask.
    pub(crate) fn open(self) -> Result<(Session, T)> {
        let client = Client::new(self.server.resolve()?)?;
        Ok((Session { client, json: self.json }, self.options))
    }

    /// Opens it for a command that only looks at its options.
    pub(crate) async fn look(self, command: impl AsyncFnOnce(&Session, &T) -> Result<u8>) -> Result<u8> {
        let (session, options) = self.open()?;
        command(&session, &options).await
    }

    /// Opens it for a command.
    pub(crate) async fn run(self, command: impl AsyncFnOnce(&Session, T) -> Result<u8>) -> Result<u8> {
        let (session, options) = self.open()?;
        command(&session, options).await
    }
}

impl Session {
    /// The id of the sandbox that is meant.
    pub(crate) async fn sandbox_id(&self, name: &str) -> Result<String> {
        name::sandbox_id(&self.client, name).await
    }

    /// The document for programs, or these words for people.
    pub(crate) fn answer(&self, json: &Value, text: &str) -> Result<()> {
        if self.json { show::json(json) } else { show::line(text) }
    }
}
