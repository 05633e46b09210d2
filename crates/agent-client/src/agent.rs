//! One sandbox's agent, whatever connection it has at the moment.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sentinal_agent_protocol::{preamble::Token, v1};
use sentinal_model::{ExecutionId, SandboxId, TerminalSize, limits};
use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{connection::Connection, error::AgentError, execution};

/// What the accepting task and the callers share.
#[derive(Debug)]
pub(crate) struct Link {
    id: SandboxId,
    token: Token,
    epoch: u64,
    stop: CancellationToken,
    tasks: TaskTracker,
    numbers: AtomicU64,
    current: watch::Sender<Option<Connection>>,
}

impl Link {
    pub(crate) fn new(id: SandboxId, token: Token, epoch: u64, stop: CancellationToken, tasks: TaskTracker) -> Self {
        let (current, _) = watch::channel(None);
        Self { id, token, epoch, stop, tasks, numbers: AtomicU64::new(0), current }
    }

    pub(crate) const fn id(&self) -> SandboxId {
        self.id
    }

    pub(crate) const fn token(&self) -> &Token {
        &self.token
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Runs a task that ends when the sandbox is forgotten.
    pub(crate) fn spawn(self: Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// The newest connection is the one that counts: the agent dials again only when it has given up the one before.
    pub(crate) fn connected(&self, connection: Connection) {
        self.current.send_replace(Some(connection));
    }

    pub(crate) fn disconnected(&self, number: u64) {
        self.current.send_if_modified(|current| {
            let gone = current.as_ref().is_some_and(|connection| connection.number() == number);
            if gone {
                *current = None;
            }
            gone
        });
    }
}

/// A sandbox's agent. Cheap to clone; calls wait for a connection as long as their deadline allows.
#[derive(Debug, Clone)]
pub struct Agent {
    link: Arc<Link>,
}

/// An execution that the agent holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningExecution {
    /// Its id.
    pub id: ExecutionId,
    /// Whether it has ended.
    pub ended: bool,
}

impl Agent {
    pub(crate) const fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// The agent's connection, as soon as there is one.
    pub async fn connection(&self, deadline: Duration) -> Result<Connection, AgentError> {
        let mut current = self.link.current.subscribe();
        let found = current.wait_for(Option::is_some);
        let forgotten = self.link.stop.cancelled();
        tokio::select! {
            biased;
            () = forgotten => Err(AgentError::Disconnected),
            found = timeout(deadline, found) => match found {
                Ok(Ok(connection)) => connection.clone().ok_or(AgentError::Disconnected),
                Ok(Err(_)) => Err(AgentError::Disconnected),
                Err(_) => Err(AgentError::Deadline),
            },
        }
    }

    /// Whether there is a connection at this moment, whose other end is there.
    pub fn is_connected(&self) -> bool {
        self.link.current.borrow().as_ref().is_some_and(|connection| !connection.is_gone())
    }

    /// Resolves when the sandbox is forgotten: no connection will come any more.
    pub async fn forgotten(&self) {
        self.link.stop.cancelled().await;
    }

    /// Every execution the agent holds. Ids it made up are left out.
    pub async fn list(&self) -> Result<Vec<RunningExecution>, AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let answer = answer(client.list(v1::ListRequest {})).await?;
        let known = |execution: v1::Execution| {
            Some(RunningExecution { id: execution.execution_id.parse().ok()?, ended: execution.ended })
        };
        Ok(answer.executions.into_iter().take(limits::EXECUTIONS_HELD_MAX).filter_map(known).collect())
    }

    /// Lets the agent drop what it holds of an execution.
    pub async fn forget_execution(&self, id: ExecutionId) -> Result<(), AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        answer(client.forget(v1::ForgetRequest { execution_id: id.to_string() })).await.map(drop)
    }

    /// Tells the agent when to end the sandbox by itself, counted from now.
    pub async fn set_deadline(&self, remaining: Duration) -> Result<(), AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        answer(client.set_deadline(v1::SetDeadlineRequest { remaining_ms: millis(remaining) })).await.map(drop)
    }

    /// Counts the sandbox's idle time anew, with this timeout.
    pub async fn set_idle(&self, idle: Duration) -> Result<(), AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        answer(client.set_idle(v1::SetIdleRequest { idle_ms: millis(idle) })).await.map(drop)
    }

    /// Sends a signal to an execution's process group.
    pub async fn signal(&self, id: ExecutionId, signal: i32) -> Result<(), AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        answer(client.signal(v1::SignalRequest { execution_id: id.to_string(), signal })).await.map(drop)
    }

    /// Gives an execution's terminal another size. [`AgentError::Refused`] with a conflict if it has none.
    pub async fn resize(&self, id: ExecutionId, size: TerminalSize) -> Result<(), AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let size = Some(execution::size(size));
        answer(client.resize(v1::ResizeRequest { execution_id: id.to_string(), size })).await.map(drop)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An answer within the usual deadline, or what went wrong.
pub(crate) async fn answer<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, AgentError> {
    answer_within(limits::AGENT_ANSWER_DEADLINE, call).await
}

/// An answer within the deadline, or what went wrong.
pub(crate) async fn answer_within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, AgentError> {
    match timeout(deadline, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(status.into()),
        Err(_) => Err(AgentError::Deadline),
    }
}
