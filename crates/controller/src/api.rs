//! What the gateway may ask of the controller. Every call takes a permit.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_auth::{CreateSandbox, DestroySandbox, Execute, Permit, ReadExecution, ReadFile, ReadLogs, ReadSandbox, WriteFile};
use sentinal_model::{Command, ExecutionId, GuestPath, Millis, Result, SandboxId, Spec, Stream};
use sentinal_store::{ExecutionRecord, Page, SandboxRecord};

/// The life of every sandbox, for whoever holds a permit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Controller {}

/// An execution to be started.
#[derive(Debug)]
pub struct NewExecution {
    /// What it runs.
    pub command: Command,
    /// How long to wait for a pending sandbox.
    pub wait: Duration,
}

/// An execution that was acknowledged. Dropping it does not end the execution.
#[derive(Debug)]
pub struct Execution {
    /// Its id, durable from now on.
    pub id: ExecutionId,
    /// Where it runs.
    pub sandbox: SandboxId,
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

/// A file on its way out of a sandbox.
pub struct FileBody {
    /// Its size when it was opened.
    pub size: u64,
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
    /// The store takes writes.
    pub store: std::result::Result<(), String>,
    /// The node answers and has an engine that may be used.
    pub node: std::result::Result<(), String>,
}

impl Controller {
    /// Acknowledges a sandbox durably and waits up to `wait` for it to run. Answers it as it is then: `running`,
    /// or `pending` if it took longer. A boot that failed within `wait` is an error; so is a spec that nothing can serve.
    pub async fn create(&self, permit: &Permit<CreateSandbox>, spec: Spec, wait: Duration) -> Result<SandboxRecord> {
        let _ = (permit, spec, wait);
        unimplemented!()
    }

    /// A sandbox as it is, or as it was until the end of the retention time.
    pub async fn sandbox(&self, permit: &Permit<ReadSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        let _ = (permit, id);
        unimplemented!()
    }

    /// Sandboxes, newest first.
    pub async fn sandboxes(&self, permit: &Permit<ReadSandbox>, page: Page<SandboxId>) -> Result<Vec<SandboxRecord>> {
        let _ = (permit, page);
        unimplemented!()
    }

    /// Ends a sandbox and answers when nothing is left of it, or `stopping` if that takes long. `not_found` if it had
    /// already ended.
    pub async fn destroy(&self, permit: &Permit<DestroySandbox>, id: SandboxId) -> Result<SandboxRecord> {
        let _ = (permit, id);
        unimplemented!()
    }

    /// Starts a program in a sandbox; answers when the execution is durable.
    pub async fn execute(&self, permit: &Permit<Execute>, id: SandboxId, new: NewExecution) -> Result<Execution> {
        let _ = (permit, id, new);
        unimplemented!()
    }

    /// The whole workflow: creates a sandbox, runs the program in it; the sandbox is destroyed when it has ended.
    pub async fn execute_once(&self, permit: &Permit<Execute>, create: &Permit<CreateSandbox>, spec: Spec, new: NewExecution) -> Result<Execution> {
        let _ = (permit, create, spec, new);
        unimplemented!()
    }

    /// An execution as it is.
    pub async fn execution(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord> {
        let _ = (permit, id);
        unimplemented!()
    }

    /// Executions, newest first, of one sandbox if named.
    pub async fn executions(&self, permit: &Permit<ReadExecution>, sandbox: Option<SandboxId>, page: Page<ExecutionId>) -> Result<Vec<ExecutionRecord>> {
        let _ = (permit, sandbox, page);
        unimplemented!()
    }

    /// Resolves with the durable record when the execution has ended.
    pub async fn finished(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord> {
        let _ = (permit, id);
        unimplemented!()
    }

    /// Output from byte offsets on as it comes, then the end; also of an execution that has ended. A follower that does
    /// not read holds up nobody but itself.
    pub async fn follow(&self, permit: &Permit<ReadExecution>, id: ExecutionId, stdout_offset: u64, stderr_offset: u64) -> Result<BoxStream<'static, Result<OutputEvent>>> {
        let _ = (permit, id, stdout_offset, stderr_offset);
        unimplemented!()
    }

    /// Stored output of one stream from `offset`, at most `bytes_max`, as far as it is there now.
    pub async fn output(&self, permit: &Permit<ReadExecution>, id: ExecutionId, stream: Stream, offset: u64, bytes_max: u64) -> Result<Bytes> {
        let _ = (permit, id, stream, offset, bytes_max);
        unimplemented!()
    }

    /// Writes one file into a sandbox as its ordinary user; answers its size. A body that ends with an error leaves
    /// nothing behind.
    pub async fn upload(&self, permit: &Permit<WriteFile>, id: SandboxId, path: &GuestPath, body: BoxStream<'static, Result<Bytes>>) -> Result<u64> {
        let _ = (permit, id, path, body);
        unimplemented!()
    }

    /// Opens a file of a sandbox as its ordinary user.
    pub async fn download(&self, permit: &Permit<ReadFile>, id: SandboxId, path: &GuestPath) -> Result<FileBody> {
        let _ = (permit, id, path);
        unimplemented!()
    }

    /// What happened, oldest first.
    pub async fn logs(&self, permit: &Permit<ReadLogs>, query: LogQuery) -> Result<Vec<LogEntry>> {
        let _ = (permit, query);
        unimplemented!()
    }

    /// Whether the server can do its job now. Cheap: answered from what is known.
    pub fn health(&self) -> Health {
        unimplemented!()
    }
}

impl std::fmt::Debug for FileBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileBody").field("size", &self.size).finish_non_exhaustive()
    }
}
