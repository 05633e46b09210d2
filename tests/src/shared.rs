//! One server for all tests of a binary, and a sandbox per test on it.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    Answer, Client, Execution, Leaks, NewExecution, Options, Place, Process, Role, Sandbox, Server, eventually,
    processes,
};

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

    /// Its memory stays and nothing in it runs.
    pub async fn pause(&self) -> Result<Answer> {
        self.client.post(&format!("/sandbox/{}/pause", self.id())).json(&json!({})).send().await
    }

    /// It goes on where it was.
    pub async fn resume(&self) -> Result<Answer> {
        self.client.post(&format!("/sandbox/{}/resume", self.id())).json(&json!({})).send().await
    }

    /// Its processes as the host sees them; the product's own two do not count.
    pub fn host_processes(&self) -> Vec<Process> {
        let place = self.place.data_dir();
        let products = |process: &Process| Role::ALL.iter().any(|role| role.is(process, place));
        let ours = |process: &Process| process.names(self.id()) && process.state != 'Z' && !products(process);
        processes().into_iter().filter(ours).collect()
    }

    /// Waits for the end of an execution.
    pub async fn end_of(&self, execution: &str, deadline: Duration) -> Result<Execution> {
        let ended = || async {
            let execution = self.client.execution(execution).await?;
            ensure!(execution.state == "finished", "still {}", execution.state);
            Ok(execution)
        };
        eventually("the end of an execution", deadline, ended).await
    }

    /// Waits until the sandbox is in this state.
    pub async fn becomes(&self, state: &str, deadline: Duration) -> Result<Sandbox> {
        let settled = || async {
            let sandbox = self.client.sandbox(self.id()).await?;
            ensure!(sandbox.state == state, "still {}", sandbox.state);
            Ok(sandbox)
        };
        eventually(&format!("a sandbox that is {state}"), deadline, settled).await
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
