//! What every command has: a server, and how to answer.

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use crate::{
    client::Client,
    failure::{self, Failure},
    name,
    server::ServerOptions,
    show::{self, clean},
};

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

    /// Does the same with each of them; what fails is told and the others are done nevertheless.
    pub(crate) async fn each(
        &self,
        named: &[String],
        act: impl AsyncFn(&str) -> Result<(Value, String)>,
    ) -> Result<u8> {
        let mut failed = false;
        for name in named {
            match act(name).await {
                Ok((json, _)) if self.json && named.len() > 1 => show::json_line(&json)?,
                Ok((json, text)) => self.answer(&json, &text)?,
                Err(error) if named.len() == 1 || is_for_all(&error) => return Err(error),
                Err(error) => {
                    show::note(&format!("{}: {error:#}", clean(name)));
                    failed = true;
                }
            }
        }
        Ok(u8::from(failed))
    }
}

/// Whether the others will fare no better.
fn is_for_all(error: &anyhow::Error) -> bool {
    match failure::of(error) {
        Some(Failure::Refused(problem)) => problem.status == 401,
        Some(Failure::Usage(_)) => false,
        Some(Failure::Unreachable { .. } | Failure::Foreign { .. } | Failure::Broken(_)) | None => true,
    }
}
