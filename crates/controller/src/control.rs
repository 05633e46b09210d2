//! Signals and standard input for programs that run.

use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_agent_client::{Agent, AgentError, WriteError};
use sentinal_auth::{ControlExecution, Permit};
use sentinal_model::{Code, Error, ExecutionId, Result, StdinPart, TenantId};

use crate::{activity::Use, api::Controller};

impl Controller {
    /// Sends a signal to a running program and all it has started, unless they went into a session of their own.
    pub async fn signal(&self, permit: &Permit<ControlExecution>, id: ExecutionId, signal: i32) -> Result<()> {
        let (agent, _used) = self.agent_of(permit.tenant(), id).await?;
        agent.signal(id, signal).await.map_err(|error| self.refused(id, error))
    }

    /// Sends bytes to a running program's standard input, at the pace at which it reads. Answers how many it has been
    /// given in all.
    pub async fn write_stdin(
        &self,
        permit: &Permit<ControlExecution>,
        id: ExecutionId,
        part: StdinPart,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<u64> {
        let (agent, _used) = self.agent_of(permit.tenant(), id).await?;
        agent.write_stdin(id, part, body).await.map_err(|error| match error {
            WriteError::Body(error) => error,
            WriteError::Agent(error) => self.refused_stdin(id, error),
        })
    }

    /// The agent of the sandbox in which an execution runs.
    pub(crate) async fn agent_of(&self, tenant: &TenantId, id: ExecutionId) -> Result<(Agent, Use)> {
        let live = self.context.live.get(id).filter(|live| live.record.tenant == *tenant);
        match live {
            Some(live) => self.agent(tenant, live.record.sandbox).await,
            None => match self.context.store().execution(id).await? {
                Some(record) if record.tenant == *tenant => Err(ended(id)),
                Some(_) | None => Err(Error::not_found(format!("execution {id} does not exist"))),
            },
        }
    }

    pub(crate) fn refused(&self, id: ExecutionId, error: AgentError) -> Error {
        match error {
            AgentError::NotFound(_) => self.not_held(id),
            AgentError::Refused(Code::Conflict, _) => ended(id),
            error @ (AgentError::Disconnected | AgentError::Deadline | AgentError::Refused(..)) => error.into(),
        }
    }

    pub(crate) fn refused_stdin(&self, id: ExecutionId, error: AgentError) -> Error {
        match error {
            AgentError::NotFound(_) => self.not_held(id),
            AgentError::Refused(Code::Conflict, _) => {
                let message = format!(
                    "the standard input of execution {id} is closed; it takes more only if it was started with \
                     \"stdin_open\": true, and until its end was sent"
                );
                Error::new(Code::Conflict, message)
            }
            AgentError::Deadline => {
                let message = "the program does not read its standard input; send nothing to learn how much it has been \
                               given, and the rest later";
                Error::new(Code::Unavailable, message)
            }
            error @ (AgentError::Disconnected | AgentError::Refused(..)) => error.into(),
        }
    }

    /// An agent knows nothing of what it was told to forget, and nothing of what it has yet to be told to start.
    fn not_held(&self, id: ExecutionId) -> Error {
        if self.context.live.get(id).is_none() {
            return ended(id);
        }
        Error::new(Code::Unavailable, format!("execution {id} has not been started yet; try again"))
    }
}

fn ended(id: ExecutionId) -> Error {
    Error::new(Code::Conflict, format!("execution {id} has ended"))
}
