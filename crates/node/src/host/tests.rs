//! The verbs against an engine in memory, with the clock at rest.

mod chance;
mod crash;
mod expiry;
mod idle;
mod pause;
mod verbs;

use std::{path::PathBuf, sync::Arc};

use sentinal_model::{Generation, SandboxId};
use sentinal_node_protocol::{HostUsage, InstanceState};

use super::Host;
use crate::{
    agent::AgentFile,
    error::NodeError,
    folder::StateFolder,
    testing::{self, Machine},
};

const G1: Generation = Generation(1);
const G2: Generation = Generation(2);
const G3: Generation = Generation(3);

/// The node dies, as if it were killed: no task of it goes on.
async fn crash(host: Arc<Host>) {
    drop(host.guard());
    while 1 < Arc::strong_count(&host) {
        tokio::task::yield_now().await;
    }
    let path = host.folder.path().to_owned();
    drop(host);
    // What was on its way to the disk arrives there.
    while StateFolder::hold(&path, crate::Owner::of_this_process()).is_err() {
        tokio::task::yield_now().await;
    }
}

/// A node on that machine, up to where it would open its socket.
async fn start(machine: &Machine) -> Arc<Host> {
    let host = Host::new(folder(machine), AgentFile::new(machine.config().agent), machine.parts());
    host.adopt().await.unwrap();
    host
}

fn folder(machine: &Machine) -> StateFolder {
    let config = machine.config();
    StateFolder::hold(&config.state_folder, config.server).unwrap()
}

impl Host {
    async fn placed(self: &Arc<Self>, id: SandboxId, generation: Generation) -> Result<PathBuf, NodeError> {
        Arc::clone(self).place(testing::place(id, generation)).await
    }

    async fn booted(self: &Arc<Self>, id: SandboxId, generation: Generation) -> Result<(), NodeError> {
        Arc::clone(self).boot(testing::boot(id, generation)).await
    }

    async fn halted(self: &Arc<Self>, id: SandboxId, generation: Generation) -> Result<HostUsage, NodeError> {
        Arc::clone(self).halt(testing::named(id, generation)).await
    }

    /// As placed, then booted.
    async fn up(self: &Arc<Self>, id: SandboxId) {
        self.placed(id, G1).await.unwrap();
        self.booted(id, G1).await.unwrap();
    }

    fn listed(&self, id: SandboxId) -> Option<(Generation, InstanceState)> {
        let found = self.list().into_iter().find(|instance| instance.id == id);
        found.map(|instance| (instance.generation, instance.state))
    }
}

/// That is what a request older than the newest seen is answered.
fn assert_older<T: std::fmt::Debug>(answer: Result<T, NodeError>, asked: Generation, seen: Generation) {
    match answer {
        Err(NodeError::OlderGeneration { asked: a, seen: s, .. }) => assert_eq!((a, s), (asked, seen)),
        other => panic!("{other:?}"),
    }
}
