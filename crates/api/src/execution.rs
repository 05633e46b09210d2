//! An execution as callers see it: whole, and as it happens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Encoding, Inline, Terminal};

/// An execution, running or finished.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Execution {
    /// Begins with `exe_`.
    #[schema(example = "exe_0190f5c8e4b07c3e9f6a8d2b4c5e6f70")]
    pub id: String,
    /// Where it runs or ran.
    #[schema(example = "sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70")]
    pub sandbox_id: String,
    /// Whether it runs.
    #[schema(value_type = crate::ExecutionState, example = "finished")]
    pub state: String,
    /// The context that runs it; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// The terminal it was started on; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Terminal>,
    /// How it ended; null until then.
    #[schema(value_type = Option<crate::ExecutionOutcome>, example = "exited")]
    pub outcome: Option<String>,
    /// When it exited by itself.
    #[schema(example = 0)]
    pub exit_code: Option<i32>,
    /// When a signal ended it.
    pub signal: Option<i32>,
    /// The beginning of what it wrote to standard output, at most 1 MiB; absent in lists and events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// The beginning of what it wrote to standard error, at most 1 MiB; absent in lists and events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// How `stdout` is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout_encoding: Option<Encoding>,
    /// How `stderr` is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr_encoding: Option<Encoding>,
    /// Whether it wrote more to standard output than `stdout` holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout_truncated: Option<bool>,
    /// Whether it wrote more to standard error than `stderr` holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr_truncated: Option<bool>,
    /// What code in a context made beside its output, in order: each has a `type`, and a `result` (the value of the last
    /// expression) or a `display` has `data` by media type, an `error` its `name`, `value` and `traceback`. Absent in
    /// lists and without a context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<serde_json::Value>>,
    /// Whether there were more than `results` holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results_truncated: Option<bool>,
    /// From start to end.
    #[schema(example = 12.3)]
    pub duration_ms: Option<f64>,
    /// What it used, as the sandbox itself reports it.
    pub usage: Option<Usage>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

/// What an execution used.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// User and system time.
    #[schema(example = 9.1)]
    pub cpu_ms: f64,
    /// Largest resident set of one process.
    #[schema(example = 14_680_064)]
    pub memory_peak_bytes: u64,
}

/// The first event of a stream: what was started.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ExecutionStarted {
    /// Begins with `exe_`.
    pub id: String,
    /// Where it runs.
    pub sandbox_id: String,
}

/// An event of a stream: bytes of standard output or standard error.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OutputChunk {
    /// Of the first byte, counted from the beginning of the stream.
    pub offset: u64,
    /// The bytes, written as `encoding` says.
    pub data: String,
    /// How.
    pub encoding: Encoding,
}

impl Execution {
    /// Adds what code in a context made: texts of JSON objects.
    #[must_use]
    pub fn with_results(mut self, items: &[String], is_truncated: bool) -> Self {
        self.results = Some(items.iter().filter_map(|text| serde_json::from_str(text).ok()).collect());
        self.results_truncated = Some(is_truncated);
        self
    }

    /// Adds the beginning of both streams.
    #[must_use]
    pub fn with_output(mut self, stdout: Inline, stderr: Inline) -> Self {
        self.stdout_encoding = Some(stdout.encoding);
        self.stdout_truncated = Some(stdout.truncated);
        self.stdout = Some(stdout.text);
        self.stderr_encoding = Some(stderr.encoding);
        self.stderr_truncated = Some(stderr.truncated);
        self.stderr = Some(stderr.text);
        self
    }
}
