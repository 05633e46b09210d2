//! What the gateway holds, and what goes in and out. The calls themselves, each of which takes a permit, are with
//! what they are about: `sandboxes`, `update`, `executions`, `control`, `output`, `files`, `logs`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_model::{Command, ExecutionId, Millis, Once, Result, SandboxId, Spec, Stream};
use sentinal_node_protocol::{EngineView, NodeView, Probe};
use sentinal_scheduler::Policy;
use sentinal_store::{ExecutionRecord, SandboxRecord};

use crate::context::Context;

/// The life of every sandbox, for whoever holds a permit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Controller {
    pub(crate) context: Arc<Context>,
}

/// A sandbox to be created.
#[derive(Debug)]
pub struct NewSandbox {
    /// What it shall be.
    pub spec: Spec,
    /// How long to wait for it to run.
    pub wait: Duration,
    /// What its caller calls the request, if it may be sent again.
    pub once: Option<Once>,
}

/// A sandbox that was acknowledged.
#[derive(Debug)]
pub struct Created {
    /// As it is.
    pub record: SandboxRecord,
    /// Whether the same request had created it before.
    pub is_replay: bool,
}

/// An execution to be started.
#[derive(Debug)]
pub struct NewExecution {
    /// What it runs.
    pub command: Command,
    /// How long to wait for a pending sandbox.
    pub wait: Duration,
    /// What its caller calls the request, if it may be sent again.
    pub once: Option<Once>,
}

/// An execution that was acknowledged. Dropping it does not end the execution.
#[derive(Debug)]
pub struct Execution {
    /// Its id, durable from now on.
    pub id: ExecutionId,
    /// Where it runs.
    pub sandbox: SandboxId,
    /// Whether the same request had started it before.
    pub is_replay: bool,
}

/// What an execution's followers see, in order.
#[derive(Debug, Clone)]
pub enum OutputEvent {
    /// Bytes of one stream.
    Output {
        /// Which stream.
        stream: Stream,
        /// Of the first byte.
        offset: u64,
        /// At least one byte.
        data: Bytes,
    },
    /// The end; the record is durable. The last event.
    Finished(Box<ExecutionRecord>),
}

/// A file, or a part of it, on its way out of a sandbox.
pub struct FileBody {
    /// The file's size when it was opened.
    pub size: u64,
    /// Where in the file the bytes begin and how many there are; `None` if the file has no such part.
    pub part: Option<(u64, u64)>,
    /// Its bytes; an error means that the rest is missing.
    pub bytes: BoxStream<'static, Result<Bytes>>,
}

/// Which log entries.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Of this sandbox; `None` is all of the tenant.
    pub sandbox: Option<SandboxId>,
    /// `execution`, `audit`, `security` or `system`; `None` is all.
    pub kind: Option<String>,
    /// After this cursor, or from the beginning. Opaque to callers; a malformed one is `invalid_request`.
    pub after: Option<String>,
    /// Not before this moment.
    pub since: Option<Millis>,
    /// At most so many.
    pub rows_max: u32,
}

/// Which events.
#[derive(Debug, Clone, Copy)]
pub struct EventQuery {
    /// Of this sandbox; `None` is all of the tenant.
    pub sandbox: Option<SandboxId>,
    /// After this cursor; 0 is the beginning.
    pub after: i64,
    /// At most so many.
    pub rows_max: u32,
}

/// One line of a log.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// Where to go on after this entry.
    pub cursor: String,
    /// When.
    pub time: Millis,
    /// `execution`, `audit`, `security` or `system`.
    pub kind: String,
    /// Which sandbox.
    pub sandbox: Option<SandboxId>,
    /// Which execution.
    pub execution: Option<ExecutionId>,
    /// Which stream, for output.
    pub stream: Option<Stream>,
    /// The line.
    pub message: String,
}

/// Whether the server can do its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The node answers and has an engine that may be used.
    pub node: std::result::Result<(), String>,
}

impl Controller {
    /// Whether the server can do its job now. Cheap: answered from what is known.
    pub fn health(&self) -> Health {
        let node = self
            .context
            .node_state
            .view()
            .and_then(|measured| usable(&measured.view, self.context.parts.settings.policy));
        Health { node }
    }
}

/// Whether the node has an engine that can be used and may be, or why none can.
fn usable(view: &NodeView, policy: Policy) -> std::result::Result<(), String> {
    let mut reasons = Vec::new();
    let allowed = |engine: &&EngineView| policy.minimum_isolation <= engine.name.isolation();
    for engine in view.engines.iter().filter(allowed) {
        match &engine.probe {
            Probe::Available { .. } => return Ok(()),
            Probe::Unavailable { reason } => reasons.push(format!("{}: {reason}", engine.name)),
        }
    }
    Err(format!("no engine can be used. {}", reasons.join("; ")))
}

impl std::fmt::Debug for FileBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileBody").field("size", &self.size).finish_non_exhaustive()
    }
}
