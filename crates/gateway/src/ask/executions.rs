//! Programs in sandboxes, and what they say, as the gateway asks for it.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_auth::{ControlExecution, CreateSandbox, Execute, Permit, ReadExecution};
use sentinal_controller::{Controller, Execution, ExecutionRecord, NewExecution, OutputEvent, OutputPart, Page};
use sentinal_model::{ExecutionId, Result, SandboxId, Spec, StdinPart};

/// Programs in sandboxes, and what they say.
#[async_trait]
#[expect(missing_docs, reason = "the controller's own methods say it")]
pub trait AskExecutions: Send + Sync {
    async fn execute(&self, permit: &Permit<Execute>, id: SandboxId, new: NewExecution) -> Result<Execution>;
    async fn execute_once(
        &self,
        permit: &Permit<Execute>,
        create: &Permit<CreateSandbox>,
        spec: Spec,
        new: NewExecution,
    ) -> Result<Execution>;
    async fn execution(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord>;
    async fn executions(
        &self,
        permit: &Permit<ReadExecution>,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Result<Vec<ExecutionRecord>>;
    async fn finished(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord>;
    async fn signal(&self, permit: &Permit<ControlExecution>, id: ExecutionId, signal: i32) -> Result<()>;
    async fn write_stdin(
        &self,
        permit: &Permit<ControlExecution>,
        id: ExecutionId,
        part: StdinPart,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<u64>;
    async fn follow(
        &self,
        permit: &Permit<ReadExecution>,
        id: ExecutionId,
        offsets: Offsets,
    ) -> Result<BoxStream<'static, Result<OutputEvent>>>;
    async fn output(&self, permit: &Permit<ReadExecution>, id: ExecutionId, part: OutputPart) -> Result<Bytes>;
}

/// Where to begin in each stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offsets {
    /// In standard output.
    pub stdout: u64,
    /// In standard error.
    pub stderr: u64,
}

#[async_trait]
impl AskExecutions for Controller {
    async fn execute(&self, permit: &Permit<Execute>, id: SandboxId, new: NewExecution) -> Result<Execution> {
        self.execute(permit, id, new).await
    }

    async fn execute_once(
        &self,
        permit: &Permit<Execute>,
        create: &Permit<CreateSandbox>,
        spec: Spec,
        new: NewExecution,
    ) -> Result<Execution> {
        self.execute_once(permit, create, spec, new).await
    }

    async fn execution(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord> {
        self.execution(permit, id).await
    }

    async fn executions(
        &self,
        permit: &Permit<ReadExecution>,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Result<Vec<ExecutionRecord>> {
        self.executions(permit, sandbox, page).await
    }

    async fn finished(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord> {
        self.finished(permit, id).await
    }

    async fn signal(&self, permit: &Permit<ControlExecution>, id: ExecutionId, signal: i32) -> Result<()> {
        self.signal(permit, id, signal).await
    }

    async fn write_stdin(
        &self,
        permit: &Permit<ControlExecution>,
        id: ExecutionId,
        part: StdinPart,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<u64> {
        self.write_stdin(permit, id, part, body).await
    }

    async fn follow(
        &self,
        permit: &Permit<ReadExecution>,
        id: ExecutionId,
        offsets: Offsets,
    ) -> Result<BoxStream<'static, Result<OutputEvent>>> {
        self.follow(permit, id, offsets.stdout, offsets.stderr).await
    }

    async fn output(&self, permit: &Permit<ReadExecution>, id: ExecutionId, part: OutputPart) -> Result<Bytes> {
        self.output(permit, id, part).await
    }
}
