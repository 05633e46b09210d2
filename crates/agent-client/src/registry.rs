//! All agents of this server.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use sentinal_agent_protocol::{SOCKET_NAME, preamble::Token};
use sentinal_model::SandboxId;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accept,
    agent::{Agent, Link},
    transport::{Transport, UnixSockets},
};

/// Where and as whom a sandbox's agent will dial.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Which sandbox.
    pub id: SandboxId,
    /// What its agent proves itself with.
    pub token: [u8; 32],
    /// Which boot or restore is expected.
    pub epoch: u64,
    /// The folder on the host in which the agent's socket lives.
    pub socket_folder: PathBuf,
}

/// The agents of all sandboxes of this server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Agents {
    transport: Arc<dyn Transport>,
    links: Arc<Mutex<HashMap<SandboxId, Listening>>>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Listening {
    link: Arc<Link>,
    stop: CancellationToken,
}

impl Default for Agents {
    /// Agents that dial Unix sockets.
    fn default() -> Self {
        Self::over(Arc::new(UnixSockets))
    }
}

impl Agents {
    /// Agents that dial over something else.
    pub fn over(transport: Arc<dyn Transport>) -> Self {
        Self { transport, links: Arc::default(), tasks: TaskTracker::new() }
    }

    /// Listens for a sandbox's agent. Listening again for the same sandbox replaces what was there.
    pub fn listen(&self, listen: Listen) -> io::Result<Agent> {
        let listener = self.transport.listen(&listen.socket_folder.join(SOCKET_NAME))?;
        let stop = CancellationToken::new();
        let link = Arc::new(Link::new(listen.id, Token(listen.token), listen.epoch, stop.clone(), self.tasks.clone()));
        Arc::clone(&link).spawn(accept::accept(listener, Arc::clone(&link)));
        let replaced = self.lock().insert(listen.id, Listening { link: Arc::clone(&link), stop });
        if let Some(replaced) = replaced {
            replaced.stop.cancel();
        }
        Ok(Agent::new(link))
    }

    /// The agent of a sandbox that is being listened for.
    pub fn agent(&self, id: SandboxId) -> Option<Agent> {
        self.lock().get(&id).map(|listening| Agent::new(Arc::clone(&listening.link)))
    }

    /// Stops listening and drops the connections: the sandbox has ended.
    pub fn forget(&self, id: SandboxId) {
        let forgotten = self.lock().remove(&id);
        if let Some(listening) = forgotten {
            listening.stop.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SandboxId, Listening>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
