//! The Files API of a sandbox.

use anyhow::Result;
use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use crate::{Answer, Guest, client::Request, percent_encoded};

impl Guest {
    /// A call about one path: `call` is what stands behind `/files`, `more` what stands behind the path in the query.
    pub fn files(&self, method: Method, call: &str, path: &str, more: &str) -> Request {
        let path = percent_encoded(path);
        let target = format!("/api/v1/sandbox/{}/files{call}?path={path}{more}", self.id());
        self.client().request(method, &target)
    }

    /// Reads a file.
    pub async fn read(&self, path: &str) -> Result<Answer> {
        self.files(Method::GET, "", path, "").send().await
    }

    /// Writes a file.
    pub async fn write(&self, path: &str, more: &str, content: impl Into<Bytes>) -> Result<Answer> {
        self.files(Method::PUT, "", path, more).bytes("application/octet-stream", content).send().await
    }

    /// Removes a file or folder.
    pub async fn remove(&self, path: &str, more: &str) -> Result<Answer> {
        self.files(Method::DELETE, "", path, more).send().await
    }

    /// What a file is.
    pub async fn stat(&self, path: &str, more: &str) -> Result<Answer> {
        self.files(Method::GET, "/stat", path, more).send().await
    }

    /// What is in a folder.
    pub async fn list(&self, path: &str, more: &str) -> Result<Answer> {
        self.files(Method::GET, "/list", path, more).send().await
    }

    /// A call with a JSON body: `mkdir` or `move`.
    pub async fn file_call(&self, call: &str, body: &Value) -> Result<Answer> {
        self.client().post(&format!("/sandbox/{}/files/{call}", self.id())).json(body).send().await
    }
}
