//! What the node is told when it starts.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use sentinal_engine::Engine;
use sentinal_model::{Clock, NodeId};
use sentinal_node_protocol::{HostBootId, Room};

use crate::{Images, Owner};

/// How long a node that was started for one server waits without client and instance before it ends itself.
pub const IDLE_EXIT: Duration = Duration::from_secs(30);

/// Where everything is, and whom to obey.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The node's name.
    pub node_id: NodeId,
    /// Where it keeps its records; made if missing. One node at a time can use it.
    pub state_folder: PathBuf,
    /// Where it listens. The folder must exist.
    pub socket: PathBuf,
    /// The user that `serve` runs as: with root the only one that is served, and whom the agents' socket
    /// folders belong to.
    pub server: Owner,
    /// The image store.
    pub images: PathBuf,
    /// The agent's static binary.
    pub agent: PathBuf,
    /// gVisor's `runsc`: a path, or a name to be found in `PATH`.
    pub runsc: PathBuf,
    /// Ends the node by itself after that long without client and instance.
    pub exit_when_idle: Option<Duration>,
}

/// What the node works with. [`crate::run`] takes this machine's, tests and simulations others.
#[derive(Debug, Clone)]
pub struct NodeParts {
    /// The engines of this build.
    pub engines: Vec<Arc<dyn Engine>>,
    /// The images.
    pub images: Arc<dyn Images>,
    /// How much there is.
    pub hardware: Arc<dyn Hardware>,
    /// Who does what blocks.
    pub blocking: Arc<dyn Blocking>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Which start of the host this is.
    pub host_boot_id: HostBootId,
}

/// A host's resources.
pub trait Hardware: Send + Sync + std::fmt::Debug {
    /// How many things can be done at once.
    fn cores(&self) -> usize;

    /// What the host has and what is free of it, on the disk that holds this folder. May block, for as long as a few
    /// files of the kernel take.
    fn room(&self, state_folder: &Path) -> io::Result<Room>;
}

/// Runs what blocks beside everything else.
pub trait Blocking: Send + Sync + std::fmt::Debug {
    /// Runs `job` to its end, also if the answer is not waited for. An error means that it may not have been run.
    fn run(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, io::Result<()>>;
}
