//! A node as the controller knows it: the port that the real client, and any fake, stands behind.
//!
//! Every request carries the sandbox's id and a generation. All verbs may be repeated. Failures are
//! [`sentinal_model::Error`]s: `conflict` when the generation is older than one the node has seen or the
//! sandbox is in another state, `not_found` for an unknown sandbox or image, `no_capacity` when the host has
//! no room, `unavailable` when the node or the engine does not answer.

use std::{fmt, path::PathBuf, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_model::{
    Cpu, Disk, EngineName, FreeSpace, Generation, ImageName, Memory, Millis, NodeId, Result, SandboxId,
};

/// One machine that runs sandboxes.
#[async_trait]
pub trait Node: Send + Sync + fmt::Debug {
    /// What the node has, how much is free, and what each engine's last probe said.
    async fn describe(&self) -> Result<NodeView>;

    /// Writes the intent down on the node and makes the instance's folder. Answers the folder in which the
    /// server listens for the agent; it exists then, is the server's own, and is removed by [`Node::halt`].
    async fn place(&self, request: Place) -> Result<PathBuf>;

    /// Boots the placed instance and returns when it has been started; the agent may dial later. For one
    /// that is up it answers the same. A [`Node::halt`] meanwhile ends it with `conflict`.
    async fn boot(&self, request: Boot) -> Result<()>;

    /// Says how long the sandbox is certainly in use, so that the node does not take it for idle when nobody is left
    /// to say so.
    async fn keep(&self, request: Keep) -> Result<()>;

    /// Stops everything in a booted instance where it is. `not_supported` where the host or the engine cannot.
    async fn pause(&self, id: SandboxId, generation: Generation) -> Result<()>;

    /// Lets a paused instance go on.
    async fn resume(&self, id: SandboxId, generation: Generation) -> Result<()>;

    /// Removes everything the sandbox has on the node. Succeeds when there is nothing.
    async fn halt(&self, id: SandboxId, generation: Generation) -> Result<HostUsage>;

    /// Every sandbox that has anything on the node, with those that ended and wait for their halt.
    async fn list(&self) -> Result<Inventory>;

    /// What the host counts for a running instance.
    async fn stats(&self, id: SandboxId) -> Result<HostUsage>;

    /// Takes a finished image and gives it a name. `content` is all of it; one that ends early is refused.
    async fn publish_image(&self, image: ImageDetails, content: BoxStream<'static, Bytes>) -> Result<()>;

    /// All that is known of the image with a name.
    async fn inspect_image(&self, name: &ImageName) -> Result<ImageDetails>;

    /// Takes a name away, and the image with its last one. `conflict` while a sandbox was made of that.
    async fn remove_image(&self, name: &ImageName) -> Result<RemovedImages>;

    /// Removes images that have no name and that no sandbox was made of: all of them, or as long as less than `until_free`
    /// is free where images are, that first whose last use is the longest ago.
    async fn prune_images(&self, until_free: Option<FreeSpace>) -> Result<RemovedImages>;

    /// What happens from now on. When the stream ends or yields an error, events may have been missed:
    /// watch again, then [`Node::list`].
    async fn watch(&self) -> Result<EventStream>;
}

/// What [`Node::watch`] yields.
pub type EventStream = BoxStream<'static, Result<NodeEvent>>;

/// Room for a sandbox, and what is to be booted there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name of all that is made.
    pub id: SandboxId,
    /// The controller's generation of this sandbox.
    pub generation: Generation,
    /// Which engine.
    pub engine: EngineName,
    /// What it is booted from.
    pub image: ImageName,
    /// Cores.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// What may be written.
    pub disk: Disk,
    /// When the sandbox's ttl runs out. A little later the node halts it by itself.
    pub expires_at: Millis,
    /// How long the sandbox may be idle. A little later the node halts it by itself. `None`: until its ttl.
    pub idle_timeout: Option<Duration>,
}

/// Boot what was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Which sandbox.
    pub id: SandboxId,
    /// The controller's generation of this sandbox.
    pub generation: Generation,
    /// What the agent proves itself with.
    pub token: AgentToken,
    /// Counts boots and restores of this sandbox.
    pub epoch: u64,
    /// When the agent ends the sandbox by itself, counted from its start.
    pub agent_deadline: Duration,
}

/// How long a sandbox is in use: its idle time begins there, and one that is not in use may rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Which sandbox.
    pub id: SandboxId,
    /// The controller's generation of this sandbox.
    pub generation: Generation,
    /// How long from now it is in use; zero when it is not. Replaces what was said before.
    pub busy_for: Duration,
    /// When this was said: what arrives late takes back nothing that was said afterwards.
    pub said_at: Millis,
}

/// A verb for a sandbox that needs no more than to know which: pause, resume, halt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Which sandbox.
    pub id: SandboxId,
    /// The controller's generation of this sandbox.
    pub generation: Generation,
}

/// 32 bytes that prove to the server which sandbox is dialling. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AgentToken(pub [u8; 32]);

impl fmt::Debug for AgentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What a node says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// Its name.
    pub node: NodeId,
    /// Which start of its host this is.
    pub host_boot_id: HostBootId,
    /// How much it has.
    pub room: Room,
    /// The engines of its build; an engine that is not here is not part of it.
    pub engines: Vec<EngineView>,
    /// The images it can boot.
    pub images: Vec<ImageView>,
    /// Of the agent that a boot puts into a sandbox, `sha256:` and 64 digits; empty if it cannot be told.
    pub agent_digest: String,
}

/// Changes with every start of the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostBootId(pub String);

/// What a node has and what is free, whatever has been promised to sandboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Cores, in thousandths.
    pub cpu_milli_total: u32,
    /// Memory it may use.
    pub memory_bytes_total: u64,
    /// Memory that nobody uses at this moment.
    pub memory_bytes_available: u64,
    /// The disk that holds what sandboxes write.
    pub disk_bytes_total: u64,
    /// What is free on it.
    pub disk_bytes_available: u64,
    /// How much its programs wait for memory; `None` where its kernel does not measure that.
    pub memory_pressure: Option<MemoryPressure>,
}

/// How much of the last ten seconds tasks of a host waited for memory, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryPressure {
    /// Some task did.
    pub some_percent: u32,
    /// All of them did at once.
    pub full_percent: u32,
}

/// An engine and its last probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineView {
    /// Which engine.
    pub name: EngineName,
    /// What the probe found.
    pub probe: Probe,
    /// How long the probe took.
    pub took: Duration,
    /// Whether a sandbox that rests costs the host less: then the node is told which ones nobody uses.
    pub can_rest: bool,
}

/// What the last probe of an engine found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It works; this answered.
    Available {
        /// For example `runsc 0.0~20240729.0 (systrap)`.
        version: String,
    },
    /// It cannot be used.
    Unavailable {
        /// Why, and what to do, as a sentence for callers.
        reason: String,
    },
}

/// An image a node can boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageView {
    /// Its name.
    pub name: ImageName,
    /// What it contains, `sha256:` and 64 digits.
    pub digest: String,
    /// Its size.
    pub size_bytes: u64,
}

/// All that is known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDetails {
    /// Its name.
    pub name: ImageName,
    /// What it contains, `sha256:` and 64 digits.
    pub digest: String,
    /// Its size.
    pub size_bytes: u64,
    /// Where it came from, for people; empty for what was built on the node.
    pub source: String,
    /// When it was made.
    pub created: Millis,
    /// How its programs want to be started.
    pub config: ImageConfig,
}

/// How the programs of an image want to be started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageConfig {
    /// `NAME=value`: what executions have.
    pub env: Vec<String>,
    /// Where executions begin; empty is their user's home.
    pub working_dir: String,
    /// As the image says it.
    pub user: String,
    /// Whether executions run as that user when they name none.
    pub runs_as_user: bool,
    /// Recorded, and not acted on.
    pub entrypoint: Vec<String>,
    /// Recorded, and not acted on.
    pub cmd: Vec<String>,
}

/// Images that are gone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemovedImages {
    /// Of each, `sha256:` and 64 digits.
    pub digests: Vec<String>,
    /// What they took on the disk.
    pub bytes: u64,
}

/// Everything that exists on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Which start of its host this is.
    pub host_boot_id: HostBootId,
    /// In no order.
    pub instances: Vec<NodeInstance>,
}

/// A sandbox's trace on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeInstance {
    /// Whose it is.
    pub id: SandboxId,
    /// The highest generation the node has seen; zero when only an engine knows of it.
    pub generation: Generation,
    /// What it runs on.
    pub engine: EngineName,
    /// How much of it there is.
    pub state: InstanceState,
}

/// How much of an instance exists on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// Something, but it was never fully booted.
    Partial,
    /// Booted and alive.
    Running,
    /// Booted, alive, and stopped where it was.
    Paused,
    /// It ended by itself and was not halted yet.
    Ended(EndReason),
}

/// Why an instance ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The engine's process ended.
    Exited,
    /// The memory limit was reached.
    Oom,
    /// The node found the sandbox past its ttl and ended it.
    Expired,
    /// The sandbox was idle for longer than it may be.
    Idle,
    /// The host was restarted under it.
    HostRestarted,
}

/// Something that happened on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeEvent {
    /// An instance ended by itself; it still has to be halted.
    InstanceEnded {
        /// Whose it was.
        id: SandboxId,
        /// The generation it was booted with.
        generation: Generation,
        /// Why.
        reason: EndReason,
    },
    /// An engine became available or stopped being so: call [`Node::describe`].
    EnginesChanged,
}

/// What the host counted for an instance; zero where it could not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostUsage {
    /// User and system time, in microseconds.
    pub cpu_us: u64,
    /// Memory now, in bytes.
    pub memory_bytes: u64,
    /// Most memory so far, in bytes.
    pub memory_peak_bytes: u64,
    /// Written and kept on its disk, in bytes.
    pub disk_bytes: u64,
    /// Host processes and threads now.
    pub processes: u64,
    /// Processes that the kernel has killed because the sandbox's memory was full.
    pub oom_kills: u64,
}
