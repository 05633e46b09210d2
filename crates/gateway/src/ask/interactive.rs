//! Contexts, terminals and ports, as the gateway asks for it.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_auth::{ConnectPort, ControlExecution, Execute, Permit, ReadExecution};
use sentinal_controller::{Attached, Controller, OpenContext, PortStream};
use sentinal_model::{ContextId, ExecutionId, NewContext, Result, SandboxId, TerminalSize};

/// What is talked with while it runs: contexts, terminals and ports.
#[async_trait]
#[expect(missing_docs, reason = "the controller's own methods say it")]
pub trait AskInteractive: Send + Sync {
    async fn create_context(&self, permit: &Permit<Execute>, id: SandboxId, new: NewContext) -> Result<ContextId>;
    async fn contexts(&self, permit: &Permit<ReadExecution>, id: SandboxId) -> Result<Vec<OpenContext>>;
    async fn remove_context(&self, permit: &Permit<Execute>, id: SandboxId, context: ContextId) -> Result<()>;
    async fn attach(
        &self,
        permit: &Permit<ControlExecution>,
        id: SandboxId,
        terminal: ExecutionId,
    ) -> Result<Option<Attached>>;
    async fn type_into(
        &self,
        permit: &Permit<ControlExecution>,
        id: ExecutionId,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()>;
    async fn resize(&self, permit: &Permit<ControlExecution>, id: ExecutionId, size: TerminalSize) -> Result<()>;
    async fn connect(&self, permit: &Permit<ConnectPort>, id: SandboxId, port: u16) -> Result<PortStream>;
}

#[async_trait]
impl AskInteractive for Controller {
    async fn create_context(&self, permit: &Permit<Execute>, id: SandboxId, new: NewContext) -> Result<ContextId> {
        self.create_context(permit, id, new).await
    }

    async fn contexts(&self, permit: &Permit<ReadExecution>, id: SandboxId) -> Result<Vec<OpenContext>> {
        self.contexts(permit, id).await
    }

    async fn remove_context(&self, permit: &Permit<Execute>, id: SandboxId, context: ContextId) -> Result<()> {
        self.remove_context(permit, id, context).await
    }

    async fn attach(
        &self,
        permit: &Permit<ControlExecution>,
        id: SandboxId,
        terminal: ExecutionId,
    ) -> Result<Option<Attached>> {
        self.attach(permit, id, terminal).await
    }

    async fn type_into(
        &self,
        permit: &Permit<ControlExecution>,
        id: ExecutionId,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()> {
        self.type_into(permit, id, body).await
    }

    async fn resize(&self, permit: &Permit<ControlExecution>, id: ExecutionId, size: TerminalSize) -> Result<()> {
        self.resize(permit, id, size).await
    }

    async fn connect(&self, permit: &Permit<ConnectPort>, id: SandboxId, port: u16) -> Result<PortStream> {
        self.connect(permit, id, port).await
    }
}
