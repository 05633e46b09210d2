//! Where the rows of a suite run: one server for one engine, and a neighbour that must not notice them.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{Client, Column, Guest, Neighbour, Options, Server, Skip};

/// A server with one engine and a neighbour. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ground(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    column: Column,
    server: Server,
    neighbour: Neighbour,
}

impl Ground {
    /// Starts both; the error is a [`Skip`] where this machine cannot have the engine.
    pub async fn start(suite: &str, column: Column) -> Result<Self> {
        let server = Self::server(suite, column, Options::default()).await?;
        let neighbour = Neighbour::beside(&server, column).await?;
        Ok(Self(Arc::new(Parts { column, server, neighbour })))
    }

    /// A server that may use this engine, for rows that need one of their own.
    pub async fn server(suite: &str, column: Column, mut options: Options) -> Result<Server> {
        if let Some(why) = column.missing().await? {
            return Err(Skip(why).into());
        }
        options.serve.extend(column.serve_flags());
        let name = format!("{suite}-{}", column.name());
        Server::start_regardless(&name, options).await.with_context(|| format!("a server with {}", column.name()))
    }

    /// The engine.
    pub fn column(&self) -> Column {
        self.0.column
    }

    /// The server.
    pub fn server_here(&self) -> &Server {
        &self.0.server
    }

    /// The sandbox beside.
    pub fn neighbour(&self) -> &Neighbour {
        &self.0.neighbour
    }

    /// A client with the admin key.
    pub fn client(&self) -> Result<Client> {
        self.0.server.client()
    }

    /// A sandbox on this engine, with these fields on top of the defaults.
    pub async fn guest(&self, fields: Value) -> Result<Guest> {
        Guest::of(&self.0.server, on(self.0.column, fields)).await
    }

    /// Where the server keeps what belongs to sandboxes.
    pub fn state_dir(&self) -> PathBuf {
        self.0.server.place().state_dir()
    }

    /// The end: the neighbour is destroyed, and then nothing of any sandbox may be left on the host.
    pub async fn close(self) -> Result<()> {
        let parts = Arc::try_unwrap(self.0).ok().context("a row holds on to its server after its end")?;
        parts.neighbour.gone().await?;
        parts.server.sweep().await?;
        parts.server.clean().await
    }
}

/// A sandbox's fields, on this engine.
pub fn on(column: Column, mut fields: Value) -> Value {
    if let Value::Object(fields) = &mut fields {
        fields.insert("engine".to_owned(), json!(column.name()));
    }
    fields
}
