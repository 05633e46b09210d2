//! Executions that are past their timeout and whose agent has not said that they ended: because nobody asked it for a
//! while, because it is busy, or because it is a guest's by now. In the end there is no process of it any more.

use std::{sync::Arc, time::Duration};

use sentinal_agent_client::{Agent, AgentError};
use sentinal_model::{Code, ExecutionId, limits};
use tokio::time::{sleep, timeout};

use crate::{collect::BROKEN_PAUSE, entry::Entry, live::Live};

/// `SIGKILL`.
const KILL: i32 = 9;

/// How long an agent that says that it killed an execution may take to tell its end.
const KILLED_GRACE: Duration = Duration::from_secs(10);

/// How long the output of an execution whose process has ended may take to arrive.
const OUTPUT_GRACE: Duration = Duration::from_secs(60);

/// What an agent says of an execution that it was told to kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// It has done so.
    Killed,
    /// There is no such process any more.
    Over,
    /// Nothing that could be believed.
    Nothing,
}

/// Has an execution ended that its agent should have ended by now, and gives the agent time to tell how it did. When
/// this is true, either the execution has no process any more, or its sandbox is being ended; when it is false, the
/// sandbox was paused meanwhile.
pub(crate) async fn end(live: &Live, entry: &Arc<Entry>) -> bool {
    let generation = entry.record().generation;
    let said = kill(live, entry).await;
    if entry.record().generation != generation {
        return false;
    }
    match said {
        Said::Over => sleep(OUTPUT_GRACE).await,
        Said::Killed => {
            sleep(KILLED_GRACE).await;
            let said = kill(live, entry).await;
            if entry.record().generation != generation {
                return false;
            }
            if said != Said::Over {
                entry.silent();
            }
        }
        Said::Nothing => {
            tracing::warn!(sandbox = %live.record.sandbox, execution = %live.record.id,
                "agent did not end an execution at its timeout; the sandbox is ended");
            entry.silent();
        }
    }
    true
}

async fn kill(live: &Live, entry: &Arc<Entry>) -> Said {
    // As long as this server does not listen for it, its silence says nothing.
    let Some(agent) = entry.agent().await else { return Said::Nothing };
    timeout(limits::AGENT_ANSWER_DEADLINE, said(&agent, live.record.id)).await.unwrap_or(Said::Nothing)
}

/// What the agent answers. A connection that breaks is no silence: the agent dials again.
async fn said(agent: &Agent, id: ExecutionId) -> Said {
    loop {
        match agent.signal(id, KILL).await {
            Ok(()) => return Said::Killed,
            Err(AgentError::NotFound(_) | AgentError::Refused(Code::Conflict, _)) => return Said::Over,
            Err(AgentError::Refused(..) | AgentError::Deadline) => return Said::Nothing,
            Err(AgentError::Disconnected) => sleep(BROKEN_PAUSE).await,
        }
    }
}
