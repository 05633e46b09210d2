//! The calls of the API that are measured.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use crate::connection::Connection;

/// The API over one connection.
#[derive(Debug)]
pub(crate) struct Api(Connection);

impl Api {
    /// Speaks over this connection.
    pub(crate) const fn over(connection: Connection) -> Self {
        Self(connection)
    }

    /// Creates a gVisor sandbox and waits until it runs; answers its id.
    pub(crate) async fn create(&mut self) -> Result<String> {
        let sandbox = self.post("/api/v1/sandbox", &json!({ "engine": "gvisor" })).await?;
        ensure!(sandbox["state"] == "running", "not running: {sandbox}");
        Ok(sandbox["id"].as_str().context("a sandbox has an id")?.to_owned())
    }

    /// Runs a program in a sandbox to its successful end; answers what it printed.
    pub(crate) async fn execute(&mut self, sandbox: &str, program: &[&str]) -> Result<String> {
        let (command, args) = program.split_first().context("a program has a name")?;
        self.run(&json!({ "sandbox_id": sandbox, "command": command, "args": args })).await
    }

    /// The whole workflow in one call.
    pub(crate) async fn execute_once(&mut self, program: &[&str]) -> Result<String> {
        let (command, args) = program.split_first().context("a program has a name")?;
        self.run(&json!({ "command": command, "args": args })).await
    }

    /// Destroys a sandbox.
    pub(crate) async fn destroy(&mut self, sandbox: &str) -> Result<()> {
        self.0.send(Method::DELETE, &format!("/api/v1/sandbox/{sandbox}"), Bytes::new()).await.map(drop)
    }

    /// The ids of the sandboxes that have not ended.
    pub(crate) async fn sandboxes(&mut self) -> Result<Vec<String>> {
        let page: Value = serde_json::from_slice(&self.0.get("/api/v1/sandbox").await?)?;
        let items = page["items"].as_array().context("a page has items")?;
        let alive = items.iter().filter(|sandbox| sandbox["state"] != "stopped" && sandbox["state"] != "failed");
        Ok(alive.filter_map(|sandbox| Some(sandbox["id"].as_str()?.to_owned())).collect())
    }

    async fn run(&mut self, body: &Value) -> Result<String> {
        let execution = self.post("/api/v1/execute", body).await?;
        ensure!(execution["exit_code"] == 0, "the program failed: {execution}");
        Ok(execution["stdout"].as_str().unwrap_or_default().to_owned())
    }

    async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.0.send(Method::POST, path, body.to_string()).await?;
        serde_json::from_slice(&answer).context("an answer in JSON")
    }
}
