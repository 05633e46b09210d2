//! What an engine is: about ten verbs over instances that are named by their sandbox's id.
//!
//! Everything a program sees - executions, files, terminals - is the agent's and the same on every engine.
//! An engine only boots the agent as the init of something isolated, and removes it again.
//!
//! [`host`] is what engines on a host share, verbs that are the same for all of them; [`cgroup`], [`layer`], [`child`] and
//! [`mounts`] are what they do it with: limits, a bounded disk, children with deadlines.
//!
//! Start at [`Engine`].

#![forbid(unsafe_code)]

pub mod cgroup;
pub mod child;
#[cfg(feature = "fake")]
pub mod fake;
pub mod host;
mod instance;
pub mod layer;
pub mod mounts;
mod turns;

pub use instance::{
    BootSpec, EndReason, EngineError, Instance, InstanceState, InstanceUsage, ProbeFailure, ProbeReport,
};
pub use turns::{Hidden, Turns, to_its_end};

use async_trait::async_trait;
use sentinal_model::{EngineName, SandboxId};

/// One way to run a sandbox. All verbs are idempotent and find what they need by the sandbox's id, so that
/// they also serve after a crash of the process that called them first.
#[async_trait]
pub trait Engine: Send + Sync + std::fmt::Debug {
    /// Which engine this is.
    fn name(&self) -> EngineName;

    /// Really starts something small and removes it again. Ends within [`sentinal_model::limits::PROBE_DEADLINE`].
    async fn probe(&self) -> Result<ProbeReport, ProbeFailure>;

    /// A boot will be asked for in a moment: what can be begun before is begun. Returns at once, and succeeds or does not
    /// matter.
    fn expect_boot(&self) {}

    /// Boots an instance whose init is the agent, and returns when it has been started; the agent may dial
    /// later. On failure, and when the future is dropped half-way, [`Engine::halt`] removes what is left.
    async fn boot(&self, spec: &BootSpec) -> Result<(), EngineError>;

    /// Ends the instance and removes all it has on the host. Succeeds when there is nothing. What the host
    /// knew of its use is answered, read before it is removed.
    async fn halt(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError>;

    /// Stops everything in a running instance where it is; its memory stays. Succeeds when it is paused already.
    /// The pause outlives whoever asked for it, and [`Engine::halt`] ends a paused instance like any other.
    async fn pause(&self, id: &SandboxId) -> Result<(), EngineError>;

    /// Lets a paused instance go on. Succeeds when it runs already.
    async fn resume(&self, id: &SandboxId) -> Result<(), EngineError>;

    /// Whether an instance that rests costs the host less than one that does not.
    fn can_rest(&self) -> bool {
        false
    }

    /// Nobody uses the running instance for now: it may go on at less cost to the host, if less punctually. Succeeds when
    /// it rests already, and does nothing where there is nothing to be saved.
    async fn rest(&self, id: &SandboxId) -> Result<(), EngineError> {
        let _ = id;
        Ok(())
    }

    /// Somebody uses it again. Succeeds when it does not rest.
    async fn rouse(&self, id: &SandboxId) -> Result<(), EngineError> {
        let _ = id;
        Ok(())
    }

    /// Every sandbox of which this engine finds anything on the host, without memory of its own.
    async fn list(&self) -> Result<Vec<Instance>, EngineError>;

    /// Host-side figures of a running instance.
    async fn stats(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError>;

    /// Resolves when the instance has ended by itself; also for one that an earlier process booted.
    async fn ended(&self, id: &SandboxId) -> Result<EndReason, EngineError>;
}
