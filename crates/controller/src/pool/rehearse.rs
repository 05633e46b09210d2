//! A pooled sandbox runs one program before anybody claims it: the first one in a sandbox takes two to three times as
//! long as any later one, because the engine and the agent meet everything that starting a program takes for the first
//! time.

use std::time::Duration;

use sentinal_agent_client::{Agent, AgentError, ExecutionEvent, Start};
use sentinal_model::{Command, ExecutionId, limits};
use tokio::time::timeout;

/// How long the program may run.
const DEADLINE: Duration = Duration::from_secs(10);

/// Returns when the program has ended, however it did: an image need not have it. Nothing is left of it.
pub(crate) async fn rehearse(agent: &Agent) -> Result<(), AgentError> {
    let id = ExecutionId::generate();
    let ran =
        timeout(DEADLINE + limits::AGENT_ANSWER_DEADLINE, run(agent, id)).await.unwrap_or(Err(AgentError::Deadline));
    match ran {
        Err(AgentError::Refused(..)) => Ok(()),
        ran => agent.forget_execution(id).await.and(ran),
    }
}

async fn run(agent: &Agent, id: ExecutionId) -> Result<(), AgentError> {
    let command = Command {
        argv: vec!["true".to_owned()],
        env: Vec::new(),
        cwd: None,
        user: None,
        stdin: Vec::new(),
        stdin_open: false,
        timeout: DEADLINE,
        terminal: None,
        context: None,
    };
    let connection = agent.connection(limits::AGENT_ANSWER_DEADLINE).await?;
    let mut events = connection.execute(Start { id, command: &command }).await?;
    while !matches!(events.next().await?, ExecutionEvent::Ended(_)) {}
    Ok(())
}
