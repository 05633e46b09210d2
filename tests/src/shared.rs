//! One server for all tests of a binary, and a sandbox per test on it.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{Client, Execution, Leaks, NewExecution, Options, Place, Sandbox, Server, eventually};

/// Tried once: where it cannot start, every test says so at once.
static SHARED: OnceCell<Result<Option<Server>, String>> = OnceCell::const_new();

/// The server that all tests of this binary share. It ends with the binary.
pub async fn shared() -> Result<Option<&'static Server>> {
    let program = std::env::current_exe()?;
    let name = program.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.split('-').next().unwrap_or_default();
    let start = || async { Server::start(name, Options::default()).await.map_err(|error| format!("{error:#}")) };
    match SHARED.get_or_init(start).await {
        Ok(server) => Ok(server.as_ref()),
        Err(reason) => Err(anyhow!("no server: {reason}")),
    }
}

/// A running sandbox of one test.
#[derive(Debug)]
pub struct Guest {
    client: Client,
    place: Place,
    sandbox: Sandbox,
}

/// A sandbox of the shared server, with these fields on top of the defaults.
pub async fn guest(fields: Value) -> Result<Option<Guest>> {
    let Some(server) = shared().await? else { return Ok(None) };
    Guest::of(server, fields).await.map(Some)
}

impl Guest {
    /// A sandbox of a server.
    pub async fn of(server: &Server, fields: Value) -> Result<Self> {
        let client = server.client()?;
        let mut spec = json!({ "memory": "256Mi" });
        if let (Value::Object(spec), Value::Object(fields)) = (&mut spec, fields) {
            spec.extend(fields);
        }
        let sandbox = client.create(&spec).await.with_context(|| server.place().log_tails())?;
        server.place().learn_cgroups();
        Ok(Self { client, place: server.place().clone(), sandbox })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.sandbox.id
    }

    /// As it was when it had been created.
    pub const fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Where its server keeps everything.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// A client with the admin key.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a line in the shell.
    pub async fn shell(&self, command: &str) -> Result<Execution> {
        self.execute(NewExecution::shell(command)).await
    }

    /// Runs anything.
    pub async fn execute(&self, new: NewExecution) -> Result<Execution> {
        self.client.execute(&new.within(self.id())).await
    }

    /// That it still does what it is for.
    pub async fn works(&self) -> Result<()> {
        let said = self.shell("echo alive").await.context("the sandbox has to work still")?.ok()?;
        ensure!(said == "alive\n", "{said:?}");
        Ok(())
    }

    /// Destroys it and waits until nothing of it is on the host.
    pub async fn gone(self) -> Result<()> {
        self.client.destroy(self.id()).await?.expect(200)?;
        self.clean().await
    }

    /// Waits until nothing of it is on the host.
    pub async fn clean(&self) -> Result<()> {
        let look = || async { Leaks::of_sandbox(&self.place, self.id()).none() };
        eventually("a sandbox of which nothing is left", Duration::from_secs(30), look).await
    }
}
