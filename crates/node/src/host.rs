//! Everything sandboxes have on this host, and the verbs that change it.
//!
//! Per sandbox there is one [`entry::Entry`] with a lock that the verbs take in turn; a halt breaks into a
//! boot under way instead of waiting for it. Each verb writes down what it is about to do, does it, and
//! writes down that it is done, so that after a crash at any line the record says what may exist.

mod adopt;
mod boot;
mod end;
mod entry;
mod expire;
mod halt;
mod hold;
mod image;
mod keep;
mod pause;
mod place;
mod table;
mod tombstones;

use std::{io, sync::Arc};

use sentinal_engine::{Engine, InstanceUsage};
use sentinal_model::{Clock, EngineName, SandboxId};
use sentinal_node_protocol::{HostBootId, HostUsage, ImageView, NodeEvent, NodeInstance, Room};
use tokio::sync::{RwLock, Semaphore, broadcast};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    Blocking, Hardware,
    agent::AgentFile,
    blocking,
    config::NodeParts,
    engines::{Engines, ProbedEngine},
    error::NodeError,
    folder::StateFolder,
    images::Images,
    limits,
    record::Stage,
};
use table::Table;

/// What this host has, and what it has it with.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) folder: StateFolder,
    pub(crate) engines: Engines,
    images: Arc<dyn Images>,
    /// Held to write by what removes images.
    images_stay: RwLock<()>,
    /// Images that may be received at once.
    receiving: Semaphore,
    hardware: Arc<dyn Hardware>,
    blocking: Arc<dyn Blocking>,
    agent: Arc<AgentFile>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) boot_id: HostBootId,
    pub(crate) events: broadcast::Sender<NodeEvent>,
    table: Table,
    /// Thousandths of a boot that keeps a core busy.
    boots: Semaphore,
    work: TaskTracker,
    /// Ends every task of this host at whatever line it is, as the end of the process would.
    life: CancellationToken,
}

impl Host {
    pub(crate) fn new(folder: StateFolder, agent: AgentFile, parts: NodeParts) -> Arc<Self> {
        let boots = Semaphore::new(parts.hardware.cores() * limits::BOOTS_PER_CORE * 1000);
        let (events, _) = broadcast::channel(limits::EVENTS_BEHIND_MAX);
        Arc::new(Self {
            folder,
            engines: Engines::new(parts.engines),
            images: parts.images,
            images_stay: RwLock::new(()),
            receiving: Semaphore::new(limits::IMAGES_RECEIVED_MAX),
            hardware: parts.hardware,
            blocking: parts.blocking,
            agent: Arc::new(agent),
            clock: parts.clock,
            boot_id: parts.host_boot_id,
            events,
            table: Table::default(),
            boots,
            work: TaskTracker::new(),
            life: CancellationToken::new(),
        })
    }

    /// Every sandbox that has anything here. Waits for nobody.
    pub(crate) fn list(&self) -> Vec<NodeInstance> {
        self.table.all().iter().filter_map(|entry| entry.shown()).collect()
    }

    /// What the host counts for an instance.
    pub(crate) async fn stats(&self, id: SandboxId) -> Result<HostUsage, NodeError> {
        let shown = self.table.get(&id).and_then(|entry| entry.shown()).ok_or(NodeError::NotFound { id })?;
        let engine = self.engine(shown.engine)?;
        let usage = tokio::time::timeout(limits::LIST_DEADLINE, engine.stats(&id)).await;
        let usage =
            usage.map_err(|_| NodeError::Late { what: "the engine's figures", deadline: limits::LIST_DEADLINE })?;
        usage.map(host_usage).map_err(NodeError::engine(shown.engine, "measure"))
    }

    /// Runs a verb to its end, whatever becomes of the request that asked for it: no verb is left half-way
    /// because a connection closed.
    pub(crate) async fn finish<T, F>(&self, verb: F) -> Result<T, NodeError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, NodeError>> + Send + 'static,
    {
        let verb = self.life.clone().run_until_cancelled_owned(verb);
        self.work.spawn(verb).await.ok().flatten().unwrap_or(Err(NodeError::Lost))
    }

    /// Returns when no verb is under way.
    pub(crate) async fn idle(&self) {
        self.work.close();
        self.work.wait().await;
    }

    /// All tasks end when this is dropped.
    pub(crate) fn guard(&self) -> DropGuard {
        self.life.clone().drop_guard()
    }

    /// Runs something beside the verbs, for as long as the answer is kept.
    pub(crate) fn beside(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
        let task = self.life.clone().run_until_cancelled_owned(task);
        AbortOnDropHandle::new(tokio::spawn(async move {
            task.await;
        }))
    }

    /// Does something with files, which blocks.
    pub(crate) async fn on_disk<T, F>(&self, job: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> io::Result<T> + Send + 'static,
    {
        blocking::answer(self.blocking.as_ref(), job).await?
    }

    /// What this host has and what is free of it.
    pub(crate) async fn room(&self) -> Result<Room, NodeError> {
        let (hardware, folder) = (Arc::clone(&self.hardware), self.folder.path().to_owned());
        self.on_disk(move || hardware.room(&folder)).await.map_err(NodeError::files("measure its room"))
    }

    /// The images it can boot. A store that cannot be read is as good as empty, and logged.
    pub(crate) async fn images(&self) -> Vec<ImageView> {
        let listed = self.ask_images(|images| images.list()).await;
        listed.inspect_err(|error| tracing::error!(?error, "images cannot be listed")).unwrap_or_default()
    }

    /// Which build of the agent the next sandbox is booted with; empty if that cannot be told.
    pub(crate) async fn agent_digest(&self) -> String {
        let agent = Arc::clone(&self.agent);
        blocking::answer(self.blocking.as_ref(), move || agent.digest()).await.unwrap_or_default()
    }

    /// Asks the store of images, which blocks.
    async fn ask_images<T, F>(&self, question: F) -> sentinal_model::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Images) -> sentinal_model::Result<T> + Send + 'static,
    {
        let images = Arc::clone(&self.images);
        let answered = blocking::answer(self.blocking.as_ref(), move || question(images.as_ref())).await;
        answered.unwrap_or_else(|error| Err(sentinal_model::Error::internal(&error)))
    }

    fn engine(&self, name: EngineName) -> Result<&Arc<dyn Engine>, NodeError> {
        self.probed(name).map(ProbedEngine::engine)
    }

    fn probed(&self, name: EngineName) -> Result<&ProbedEngine, NodeError> {
        self.engines.get(name).ok_or(NodeError::NoSuchEngine(name))
    }

    /// Tells whoever watches. Nobody watching is fine: `list` says the same.
    pub(crate) fn tell(&self, event: NodeEvent) {
        let _ = self.events.send(event);
    }
}

const fn host_usage(usage: InstanceUsage) -> HostUsage {
    HostUsage {
        cpu_us: usage.cpu_us,
        memory_bytes: usage.memory_bytes,
        memory_peak_bytes: usage.memory_peak_bytes,
        disk_bytes: usage.disk_bytes,
        processes: usage.processes,
        oom_kills: usage.oom_kills,
    }
}

/// The refusal of a verb that has no meaning at this stage.
const fn wrong_state(id: SandboxId, stage: Stage) -> NodeError {
    NodeError::WrongState { id, state: stage.as_str(), remedy: "halt it first" }
}

#[cfg(test)]
mod tests;
