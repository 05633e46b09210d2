//! Contexts: programs that run one piece of code after the other.

use sentinal_agent_protocol::v1;
use sentinal_model::{Command, ContextId, limits};

use crate::{
    agent::{Agent, answer},
    error::{AgentError, clean},
    execution,
};

/// A context whose program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenContext {
    /// Its id.
    pub id: ContextId,
    /// What it was opened for.
    pub language: String,
    /// Pieces of code that run or wait in it.
    pub executions: u32,
}

impl Agent {
    /// Starts a context's program: argv, env, cwd and user of `command`. [`AgentError::Refused`] with a conflict if
    /// the program is not there.
    pub async fn open_context(&self, id: ContextId, language: &str, command: &Command) -> Result<(), AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let program = execution::program(command);
        let request = v1::OpenContextRequest {
            context_id: id.to_string(),
            language: language.to_owned(),
            argv: program.argv,
            env: program.env,
            cwd: program.cwd,
            user: program.user,
            processes_max: program.processes_max,
            open_files_max: program.open_files_max,
        };
        answer(client.open_context(request)).await.map(drop)
    }

    /// Every context whose program runs. Ids that the agent made up are left out.
    pub async fn list_contexts(&self) -> Result<Vec<OpenContext>, AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let listed = answer(client.list_contexts(v1::ListContextsRequest {})).await?.contexts;
        let known = |context: v1::Context| {
            let id = context.context_id.parse().ok()?;
            Some(OpenContext { id, language: clean(&context.language), executions: context.executions })
        };
        Ok(listed.into_iter().take(limits::CONTEXTS_MAX).filter_map(known).collect())
    }

    /// Ends a context's program and whatever it runs.
    pub async fn close_context(&self, id: ContextId) -> Result<(), AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        answer(client.close_context(v1::CloseContextRequest { context_id: id.to_string() })).await.map(drop)
    }
}
