//! The calls of the API that are measured.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::{Method, body::Incoming};
use serde_json::{Value, json};

use crate::connection::Connection;

/// The API over one connection.
#[derive(Debug)]
pub(crate) struct Api(Connection);

/// Which sandbox: its engine, and by its memory whether a pool may serve it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// The engine's name.
    pub(crate) engine: &'static str,
    memory: &'static str,
    cpu: f64,
}

impl Kind {
    /// gVisor, of the default size.
    pub(crate) const GVISOR: Self = Self { engine: "gvisor", memory: "512Mi", cpu: 1.0 };
    /// Native, of the default size.
    pub(crate) const NATIVE: Self = Self { engine: "native", ..Self::GVISOR };
    /// Of the size that the pools of [`Kind::pool`] have.
    pub(crate) const GVISOR_POOLED: Self = Self { memory: "256Mi", ..Self::GVISOR };
    /// The same on native.
    pub(crate) const NATIVE_POOLED: Self = Self { memory: "256Mi", ..Self::NATIVE };

    /// The least of both, for many at once.
    pub(crate) const SMALL: Self = Self { memory: "64Mi", cpu: 0.05, ..Self::GVISOR };

    /// The same size on another's engine.
    pub(crate) fn on(self, other: Self) -> Self {
        Self { engine: other.engine, ..self }
    }

    /// Whether it shares the host's kernel.
    pub(crate) const fn is_native(self) -> bool {
        matches!(self.engine.as_bytes(), b"native")
    }

    /// The server's option for a pool of this kind.
    pub(crate) fn pool(self, size: usize) -> String {
        format!("--pool=engine={},memory={},size={size}", self.engine, self.memory)
    }

    fn fields(self) -> Value {
        json!({ "engine": self.engine, "memory": self.memory, "cpu": self.cpu })
    }
}

impl Api {
    /// Speaks over this connection.
    pub(crate) const fn over(connection: Connection) -> Self {
        Self(connection)
    }

    /// Creates a sandbox and waits until it runs; answers its id.
    pub(crate) async fn create(&mut self, kind: Kind) -> Result<String> {
        let sandbox = self.post("/api/v1/sandbox", &kind.fields()).await?;
        ensure!(sandbox["state"] == "running", "not running: {sandbox}");
        Ok(sandbox["id"].as_str().context("a sandbox has an id")?.to_owned())
    }

    /// Runs a program in a sandbox to its successful end; answers what it printed.
    pub(crate) async fn execute(&mut self, sandbox: &str, program: &[&str]) -> Result<String> {
        let (command, args) = program.split_first().context("a program has a name")?;
        self.run(&json!({ "sandbox_id": sandbox, "command": command, "args": args })).await
    }

    /// Runs a program that prints something; answers its events as they come.
    pub(crate) async fn follow(&mut self, sandbox: &str, program: &[&str]) -> Result<Incoming> {
        let (command, args) = program.split_first().context("a program has a name")?;
        let body = json!({ "sandbox_id": sandbox, "command": command, "args": args });
        self.0.events("/api/v1/execute", body.to_string()).await
    }

    /// The whole workflow in one call.
    pub(crate) async fn execute_once(&mut self, kind: Kind, program: &[&str]) -> Result<String> {
        let (command, args) = program.split_first().context("a program has a name")?;
        let mut body = kind.fields();
        body["command"] = json!(command);
        body["args"] = json!(args);
        self.run(&body).await
    }

    /// Opens a context for Python; answers its id.
    pub(crate) async fn open_context(&mut self, sandbox: &str) -> Result<String> {
        let context = self.post(&format!("/api/v1/sandbox/{sandbox}/context"), &json!({"language": "python"})).await?;
        Ok(context["id"].as_str().context("a context has an id")?.to_owned())
    }

    /// Runs code in a context to its successful end.
    pub(crate) async fn run_in(&mut self, sandbox: &str, context: &str, code: &str) -> Result<()> {
        let body = json!({ "sandbox_id": sandbox, "context_id": context, "code": code });
        self.run(&body).await.map(drop)
    }

    /// Writes a file.
    pub(crate) async fn write(&mut self, sandbox: &str, path: &str, content: Bytes) -> Result<()> {
        let path = format!("/api/v1/sandbox/{sandbox}/files?path={path}");
        self.0.send_as("application/octet-stream", Method::PUT, &path, content).await.map(drop)
    }

    /// Reads a file; answers how much it is.
    pub(crate) async fn read(&mut self, sandbox: &str, path: &str) -> Result<usize> {
        self.0.drain(&format!("/api/v1/sandbox/{sandbox}/files?path={path}")).await
    }

    /// Lists a folder; answers how many entries came.
    pub(crate) async fn list(&mut self, sandbox: &str, path: &str, limit: usize) -> Result<usize> {
        let path = format!("/api/v1/sandbox/{sandbox}/files/list?path={path}&limit={limit}");
        let page: Value = serde_json::from_slice(&self.0.get(&path).await?)?;
        Ok(page["items"].as_array().context("a page has items")?.len())
    }

    /// The connection it is.
    pub(crate) const fn connection(&mut self) -> &mut Connection {
        &mut self.0
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

/// What a program printed, if an event says that it did.
pub(crate) fn printed(event: &[u8]) -> Option<String> {
    let event = String::from_utf8_lossy(event);
    let data = event.split("event: stdout\ndata: ").nth(1)?.lines().next()?;
    let data: Value = serde_json::from_str(data).ok()?;
    Some(data["data"].as_str()?.to_owned())
}
