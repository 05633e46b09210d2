//! Terminals: who is attached to one, its size, and its end when everybody has left it.

use std::{convert::Infallible, future::pending, sync::Arc};

use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_agent_client::{AgentError, WriteError};
use sentinal_auth::{ControlExecution, Permit};
use sentinal_model::{Code, Error, ExecutionId, Result, SandboxId, StdinPart, TerminalSize, limits};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{api::Controller, entry::Entry, live::Live};

/// A hang-up and a kill, by number as the agent takes them (signal(7)).
const SIGHUP: i32 = 1;
const SIGKILL: i32 = 9;

/// Somebody who is attached to a terminal until this is dropped.
#[derive(Debug)]
pub struct Attached(Arc<Live>);

impl Attached {
    fn new(live: Arc<Live>) -> Self {
        live.attached.send_modify(|count| *count += 1);
        Self(live)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.attached.send_modify(|count| *count -= 1);
    }
}

impl Controller {
    /// Attaches to the terminal of an execution in this sandbox; `None` if it has ended.
    pub async fn attach(
        &self,
        permit: &Permit<ControlExecution>,
        id: SandboxId,
        terminal: ExecutionId,
    ) -> Result<Option<Attached>> {
        let live = self.context.live.get(terminal);
        let record = match &live {
            Some(live) => Some(live.record.clone()),
            None => self.context.store().execution(terminal).await?,
        };
        let own = record.filter(|record| record.tenant == *permit.tenant() && record.sandbox == id);
        let missing = || Error::not_found(format!("execution {terminal} does not exist in sandbox {id}"));
        if own.ok_or_else(missing)?.command.terminal.is_none() {
            let message = format!("execution {terminal} has no terminal; start one with \"terminal\"");
            return Err(Error::new(Code::Conflict, message));
        }
        let Some(live) = live else { return Ok(None) };
        if limits::TERMINAL_CLIENTS_MAX <= *live.attached.borrow() {
            let most = limits::TERMINAL_CLIENTS_MAX;
            let message = format!("{most} clients are attached to this terminal, the most there may be");
            return Err(Error::new(Code::QuotaExceeded, message));
        }
        Ok(Some(Attached::new(live)))
    }

    /// Types into a terminal, until `body` or the program has ended.
    pub async fn type_into(
        &self,
        permit: &Permit<ControlExecution>,
        id: ExecutionId,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()> {
        let (agent, _used) = match self.agent_of(permit.tenant(), id).await {
            Err(error) if error.code() == Code::Conflict && self.context.live.get(id).is_none() => return Ok(()),
            found => found?,
        };
        match agent.write_stdin(id, StdinPart::default(), body).await {
            // Its standard input stays open for as long as it runs.
            Ok(_) | Err(WriteError::Agent(AgentError::Refused(Code::Conflict, _))) => Ok(()),
            Err(WriteError::Agent(AgentError::NotFound(_))) if self.context.live.get(id).is_none() => Ok(()),
            Err(WriteError::Agent(error)) => Err(self.refused_stdin(id, error)),
            Err(WriteError::Body(error)) => Err(error),
        }
    }

    /// Gives a terminal another size; its program is told.
    pub async fn resize(&self, permit: &Permit<ControlExecution>, id: ExecutionId, size: TerminalSize) -> Result<()> {
        let (agent, _used) = self.agent_of(permit.tenant(), id).await?;
        agent.resize(id, size).await.map_err(|error| match self.refused(id, error) {
            error if error.code() == Code::Conflict => {
                Error::new(Code::Conflict, format!("execution {id} has no terminal, or has ended"))
            }
            error => error,
        })
    }
}

/// Hangs a terminal up that everybody has left for long, and keeps at it. One that nobody was ever attached to is a
/// program's own matter.
pub(crate) async fn mind(live: &Live, entry: &Entry) -> Infallible {
    match live.record.command.terminal {
        None => pending().await,
        // Most executions have none, and need no room for this.
        Some(_) => Box::pin(mind_terminal(live, entry)).await,
    }
}

async fn mind_terminal(live: &Live, entry: &Entry) -> Infallible {
    let mut attached = live.attached.subscribe();
    // There is always a sender, here and below: the execution itself.
    let _ = attached.wait_for(|count| is_attached(*count)).await;
    loop {
        left_for_long(&mut attached).await;
        hang_up(live, entry).await;
    }
}

const fn is_attached(count: usize) -> bool {
    0 < count
}

/// Resolves when everybody has left and nobody has come back in time.
async fn left_for_long(attached: &mut watch::Receiver<usize>) {
    loop {
        let _ = attached.wait_for(|count| !is_attached(*count)).await;
        if timeout(limits::TERMINAL_DETACHED_MAX, attached.wait_for(|count| is_attached(*count))).await.is_err() {
            return;
        }
    }
}

async fn hang_up(live: &Live, entry: &Entry) {
    tracing::info!(execution = %live.record.id, "terminal hung up: everybody has left it");
    for signal in [SIGHUP, SIGKILL] {
        let Some(agent) = entry.connected_agent() else { return };
        if let Err(error) = agent.signal(live.record.id, signal).await {
            tracing::debug!(execution = %live.record.id, %error, "terminal not hung up yet");
        }
        sleep(limits::TERMINAL_HANG_UP_GRACE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_terminal_is_left_when_nobody_has_come_back_in_time() {
        let long = limits::TERMINAL_DETACHED_MAX;
        let sender = watch::Sender::new(1);
        let mut attached = sender.subscribe();
        let left = tokio::spawn(async move { left_for_long(&mut attached).await });
        sleep(long * 2).await;
        assert!(!left.is_finished(), "somebody is there");
        sender.send_replace(0);
        sleep(long / 2).await;
        sender.send_replace(1);
        sleep(long).await;
        assert!(!left.is_finished(), "somebody has come back");
        sender.send_replace(0);
        sleep(long / 10 * 9).await;
        assert!(!left.is_finished(), "somebody may still come back");
        sleep(long / 5).await;
        assert!(left.is_finished());
    }
}
