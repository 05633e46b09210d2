//! Contexts: for each language a program that runs one piece of code after the other and keeps what they leave.
//!
//! The agent knows which there are; they end with their programs.

use sentinal_agent_client::{AgentError, OpenContext};
use sentinal_auth::{Execute, Permit, ReadExecution};
use sentinal_model::{Command, ContextId, Error, Language, NewContext, Result, SandboxId};
use sentinal_store::Write;

use crate::{api::Controller, events};

impl Controller {
    /// Starts a context in a sandbox.
    pub async fn create_context(&self, permit: &Permit<Execute>, id: SandboxId, new: NewContext) -> Result<ContextId> {
        let (agent, _used) = self.agent(permit.tenant(), id).await?;
        let context = self.context.parts.entropy.context();
        self.context
            .write(vec![Write::Event(events::context_created(permit.tenant(), id, self.context.now(), context))])
            .await?;
        let language = new.language;
        let program = Command { argv: program(language), ..new.into_command() };
        agent.open_context(context, language.as_str(), &program).await.map_err(AgentError::of_many)?;
        Ok(context)
    }

    /// The contexts of a sandbox, the oldest first.
    pub async fn contexts(&self, permit: &Permit<ReadExecution>, id: SandboxId) -> Result<Vec<OpenContext>> {
        let (agent, _used) = self.agent(permit.tenant(), id).await?;
        let mut contexts = agent.list_contexts().await?;
        contexts.sort_by_key(|context| context.id);
        Ok(contexts)
    }

    /// Ends a context and whatever runs in it.
    pub async fn remove_context(&self, permit: &Permit<Execute>, id: SandboxId, context: ContextId) -> Result<()> {
        let (agent, _used) = self.agent(permit.tenant(), id).await?;
        if agent.list_contexts().await?.iter().all(|open| open.id != context) {
            return Err(Error::not_found(format!("context {context} does not exist in sandbox {id}, or has ended")));
        }
        self.context
            .write(vec![Write::Event(events::context_removed(permit.tenant(), id, self.context.now(), context))])
            .await?;
        Ok(agent.close_context(context).await?)
    }
}

/// What runs the code: SENTINAL's own programs, in the languages' interpreters.
fn program(language: Language) -> Vec<String> {
    let program = match language {
        Language::Python => ["python3", "-c", include_str!("kernels/python.py")],
        Language::Javascript => ["node", "-e", include_str!("kernels/javascript.js")],
        Language::Bash => ["bash", "-c", include_str!("kernels/bash.sh")],
    };
    program.map(str::to_owned).into()
}
