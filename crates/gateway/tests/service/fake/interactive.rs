//! Contexts, terminals and ports, as the fake has it.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{TryStreamExt as _, stream::BoxStream};
use sentinal_auth::{ConnectPort, ControlExecution, Execute, Permit, ReadExecution};
use sentinal_controller::{Attached, OpenContext, PortStream};
use sentinal_gateway::AskInteractive;
use sentinal_model::{Code, ContextId, Error, ExecutionId, NewContext, Result, SandboxId, TerminalSize};

use super::Fake;

#[async_trait]
impl AskInteractive for Fake {
    async fn create_context(&self, _: &Permit<Execute>, _: SandboxId, _: NewContext) -> Result<ContextId> {
        Ok(ContextId::from_bytes([7; 16]))
    }

    async fn contexts(&self, _: &Permit<ReadExecution>, _: SandboxId) -> Result<Vec<OpenContext>> {
        Ok(Vec::new())
    }

    async fn remove_context(&self, _: &Permit<Execute>, _: SandboxId, _: ContextId) -> Result<()> {
        Ok(())
    }

    async fn attach(
        &self,
        _: &Permit<ControlExecution>,
        _: SandboxId,
        terminal: ExecutionId,
    ) -> Result<Option<Attached>> {
        self.record(terminal).map(|_| None)
    }

    async fn type_into(
        &self,
        _: &Permit<ControlExecution>,
        id: ExecutionId,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()> {
        self.record(id)?;
        body.try_for_each(|_| async { Ok(()) }).await
    }

    async fn resize(&self, _: &Permit<ControlExecution>, id: ExecutionId, _: TerminalSize) -> Result<()> {
        self.record(id).map(drop)
    }

    async fn connect(&self, _: &Permit<ConnectPort>, _: SandboxId, port: u16) -> Result<PortStream> {
        Err(Error::new(Code::Unavailable, format!("nothing listens on port {port} of the sandbox")))
    }
}
