//! Connections to ports inside sandboxes.

use sentinal_agent_client::{AgentError, PortStream};
use sentinal_auth::{ConnectPort, Permit};
use sentinal_model::{Code, Error, Result, SandboxId};

use crate::api::Controller;

impl Controller {
    /// Connects to what listens on a port of the sandbox's loopback addresses; the sandbox is in use as long as the
    /// connection stands. [`Code::Unavailable`] where nobody listens: that may change. [`Code::QuotaExceeded`] where as
    /// many connections stand as one sandbox may have.
    pub async fn connect(&self, permit: &Permit<ConnectPort>, id: SandboxId, port: u16) -> Result<PortStream> {
        let (agent, used) = self.agent(permit.tenant(), id).await?;
        let stream = agent.connect(port).await.map_err(|error| match error.of_many() {
            AgentError::Refused(Code::Conflict, message) => Error::new(Code::Unavailable, message),
            error @ (AgentError::Disconnected
            | AgentError::Deadline
            | AgentError::NotFound(_)
            | AgentError::Refused(..)) => error.into(),
        })?;
        Ok(stream.holding(used))
    }
}
