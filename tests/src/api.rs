//! The API's words as these tests read them, and the calls nearly every test makes.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Answer, Client, form::percent_encoded};

/// A sandbox.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the API's own names")]
pub struct Sandbox {
    pub id: String,
    pub state: String,
    pub engine: Option<String>,
    pub isolation: Option<String>,
    pub engine_reason: Option<String>,
    pub outcome: Option<String>,
    pub cpu: f64,
    pub memory: String,
    pub disk: String,
    pub image: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    pub created_at: String,
    pub expires_at: String,
}

/// An execution.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the API's own names")]
pub struct Execution {
    pub id: String,
    pub sandbox_id: String,
    pub state: String,
    pub outcome: Option<String>,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: Option<String>,
    pub stderr: Option<String>,
    pub stdout_encoding: Option<String>,
    pub stderr_encoding: Option<String>,
    pub stdout_truncated: Option<bool>,
    pub stderr_truncated: Option<bool>,
    pub duration_ms: Option<f64>,
    pub usage: Option<Value>,
}

/// The files of an upload.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the API's own names")]
pub struct Uploaded {
    pub files: Vec<UploadedFile>,
}

/// One file of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the API's own names")]
pub struct UploadedFile {
    pub path: String,
    pub size: u64,
}

/// A refusal.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the API's own names")]
pub struct Problem {
    pub status: u16,
    pub code: String,
    pub title: String,
    pub detail: String,
    pub request_id: String,
}

/// A page of a list.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the API's own names")]
pub struct ListOf<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// A body for `POST /execute`.
#[derive(Debug, Clone)]
pub struct NewExecution(Value);

impl NewExecution {
    /// A line for the shell.
    pub fn shell(command: &str) -> Self {
        Self(json!({ "command": command }))
    }

    /// A program in a language.
    pub fn code(language: &str, code: &str) -> Self {
        Self(json!({ "language": language, "code": code }))
    }

    /// One more field.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0[field] = value.into();
        self
    }

    /// In this sandbox.
    #[must_use]
    pub fn within(self, sandbox: &str) -> Self {
        self.with("sandbox_id", sandbox)
    }

    /// The body.
    pub const fn as_json(&self) -> &Value {
        &self.0
    }
}

impl Execution {
    /// Standard output, decoded.
    pub fn stdout_bytes(&self) -> Result<Vec<u8>> {
        decoded(self.stdout.as_deref(), self.stdout_encoding.as_deref())
    }

    /// Standard error, decoded.
    pub fn stderr_bytes(&self) -> Result<Vec<u8>> {
        decoded(self.stderr.as_deref(), self.stderr_encoding.as_deref())
    }

    /// Standard output of a program that has exited with 0.
    pub fn ok(&self) -> Result<String> {
        ensure!(self.outcome.as_deref() == Some("exited") && self.exit_code == Some(0), "not a success: {self:?}");
        String::from_utf8(self.stdout_bytes()?).context("standard output is UTF-8")
    }
}

impl Client {
    /// Creates a sandbox.
    pub async fn create(&self, spec: &Value) -> Result<Sandbox> {
        self.post("/sandbox").json(spec).send().await?.expect(201)?.json()
    }

    /// A sandbox as it is, or was.
    pub async fn sandbox(&self, id: &str) -> Result<Sandbox> {
        self.get(&format!("/sandbox/{id}")).send().await?.expect(200)?.json()
    }

    /// Destroys a sandbox.
    pub async fn destroy(&self, id: &str) -> Result<Answer> {
        self.delete(&format!("/sandbox/{id}")).send().await
    }

    /// Executes and waits for the end.
    pub async fn execute(&self, new: &NewExecution) -> Result<Execution> {
        self.post("/execute").json(new.as_json()).send().await?.expect(200)?.json()
    }

    /// Executes in the background.
    pub async fn execute_in_background(&self, new: NewExecution) -> Result<Execution> {
        let new = new.with("background", true);
        self.post("/execute").json(new.as_json()).send().await?.expect(202)?.json()
    }

    /// An execution as it is.
    pub async fn execution(&self, id: &str) -> Result<Execution> {
        self.get(&format!("/execution/{id}")).send().await?.expect(200)?.json()
    }

    /// Stored output of one stream from an offset on.
    pub async fn output(&self, id: &str, stream: &str, offset: usize) -> Result<Bytes> {
        let path = format!("/execution/{id}/output?stream={stream}&offset={offset}");
        Ok(self.get(&path).send().await?.expect(200)?.body)
    }

    /// Uploads one file as a raw body.
    pub async fn upload(&self, sandbox: &str, path: &str, content: impl Into<Bytes>) -> Result<Answer> {
        let target = format!("/upload?sandbox_id={sandbox}&path={}", percent_encoded(path));
        self.post(&target).bytes("application/octet-stream", content).send().await
    }

    /// Downloads one file.
    pub async fn download(&self, sandbox: &str, path: &str) -> Result<Answer> {
        self.get(&format!("/download?sandbox_id={sandbox}&path={}", percent_encoded(path))).send().await
    }

    /// All pages of a list.
    pub async fn list<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let page = cursor.map_or_else(|| path.to_owned(), |cursor| format!("{path}{separator}cursor={cursor}"));
            let list: ListOf<T> = self.get(&page).send().await?.expect(200)?.json()?;
            all.extend(list.items);
            cursor = list.next;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }
}

fn decoded(text: Option<&str>, encoding: Option<&str>) -> Result<Vec<u8>> {
    let text = text.unwrap_or_default();
    match encoding {
        None | Some("utf-8") => Ok(text.as_bytes().to_vec()),
        Some("base64") => base64::engine::general_purpose::STANDARD.decode(text).context("base64"),
        Some(other) => anyhow::bail!("an encoding named {other}"),
    }
}
