//! The verbs.

use std::{io, sync::Arc};

use async_trait::async_trait;
use sentinal_engine::{
    BootSpec, EndReason, Engine, EngineError, Instance, InstanceState, InstanceUsage, ProbeFailure, ProbeReport, Turns,
    cgroup::{Cgroup, Cgroups},
    layer::Templates,
    to_its_end,
};
use sentinal_model::{
    EngineName, SandboxId,
    limits::{BOOT_DEADLINE, HALT_DEADLINE},
};
use tokio_util::sync::CancellationToken;

use crate::{
    GvisorConfig, boot,
    folder::{self, InstanceFolder},
    halt, probe, rest,
};

/// gVisor on this machine.
#[derive(Debug, Clone)]
pub struct GvisorEngine(Arc<Host>);

/// What the verbs share.
#[derive(Debug)]
pub(crate) struct Host {
    config: GvisorConfig,
    turns: Turns,
    templates: Templates,
}

impl GvisorEngine {
    /// An engine that keeps everything where `config` says. Touches nothing yet.
    pub fn new(config: GvisorConfig) -> Self {
        Self(Arc::new(Host { config, turns: Turns::default(), templates: Templates::default() }))
    }

    fn state(&self, id: &SandboxId) -> Result<InstanceState, EngineError> {
        let folder = self.0.folder(id);
        if !folder.is_booted() {
            return Ok(InstanceState::Partial);
        }
        let cgroup = self.0.cgroups()?.of(id);
        let is_alive = folder.pid().is_some_and(|pid| cgroup.holds(pid));
        Ok(match is_alive {
            true if cgroup.is_frozen() => InstanceState::Paused,
            true => InstanceState::Running,
            false => InstanceState::Ended(cgroup.end_reason()),
        })
    }

    /// The cgroup of an instance that is alive.
    fn alive(&self, id: &SandboxId) -> Result<Cgroup, EngineError> {
        match self.state(id)? {
            InstanceState::Running | InstanceState::Paused => Ok(self.0.cgroups()?.of(id)),
            InstanceState::Partial | InstanceState::Ended(_) => Err(EngineError::NotFound(*id)),
        }
    }

    fn set_punctuality(&self, id: &SandboxId, set: impl Fn(i32) -> io::Result<()>) -> Result<(), EngineError> {
        self.alive(id)?;
        let pid = self.0.folder(id).pid().ok_or(EngineError::NotFound(*id))?;
        set(pid).map_err(|source| EngineError::Io { what: "set the timer slack of the sandbox".to_owned(), source })
    }
}

#[async_trait]
impl Engine for GvisorEngine {
    fn name(&self) -> EngineName {
        EngineName::Gvisor
    }

    async fn probe(&self) -> Result<ProbeReport, ProbeFailure> {
        probe::probe(&self.0).await
    }

    fn expect_boot(&self) {
        let host = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || host.cgroups().map(|cgroups| cgroups.expect_entry()));
    }

    async fn boot(&self, spec: &BootSpec) -> Result<(), EngineError> {
        let stop = CancellationToken::new();
        // Stops the boot at the deadline, and when this future is dropped.
        let _stop = stop.clone().drop_guard();
        let (host, spec) = (Arc::clone(&self.0), spec.clone());
        let work = async move {
            let _alone = host.turns.take(&spec.id).await;
            boot::boot(&host, &spec, &stop).await
        };
        to_its_end("the boot", BOOT_DEADLINE, work).await
    }

    async fn halt(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
        let (host, id) = (Arc::clone(&self.0), *id);
        let work = async move {
            let _alone = host.turns.take(&id).await;
            halt::remove(&host, &id).await
        };
        to_its_end("the halt", HALT_DEADLINE, work).await
    }

    async fn pause(&self, id: &SandboxId) -> Result<(), EngineError> {
        let _alone = self.0.turns.take(id).await;
        self.alive(id)?.freeze().await
    }

    async fn resume(&self, id: &SandboxId) -> Result<(), EngineError> {
        let _alone = self.0.turns.take(id).await;
        self.alive(id)?.thaw()
    }

    async fn rest(&self, id: &SandboxId) -> Result<(), EngineError> {
        self.set_punctuality(id, rest::rest)
    }

    async fn rouse(&self, id: &SandboxId) -> Result<(), EngineError> {
        self.set_punctuality(id, rest::rouse)
    }

    async fn list(&self) -> Result<Vec<Instance>, EngineError> {
        let mut ids = self.0.cgroups()?.list()?;
        ids.extend(folder::list(&self.0.config.folder)?);
        ids.retain(|id| !self.0.turns.is_hidden(id));
        ids.into_iter().map(|id| Ok(Instance { id, state: self.state(&id)? })).collect()
    }

    async fn stats(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
        let folder = self.0.folder(id);
        if !folder.is_booted() {
            return Err(EngineError::NotFound(*id));
        }
        Ok(InstanceUsage { disk_bytes: folder.layer().disk_bytes(), ..self.0.cgroups()?.of(id).usage() })
    }

    async fn ended(&self, id: &SandboxId) -> Result<EndReason, EngineError> {
        let folder = self.0.folder(id);
        if !folder.is_booted() {
            return Err(EngineError::NotFound(*id));
        }
        let cgroup = self.0.cgroups()?.of(id);
        if let Some(pid) = folder.pid() {
            cgroup.ended(pid).await?;
        }
        Ok(cgroup.end_reason())
    }
}

impl Host {
    pub(crate) fn config(&self) -> &GvisorConfig {
        &self.config
    }

    pub(crate) fn templates(&self) -> &Templates {
        &self.templates
    }

    pub(crate) fn folder(&self, id: &SandboxId) -> InstanceFolder {
        InstanceFolder::new(&self.config.folder, *id)
    }

    pub(crate) fn cgroups(&self) -> Result<Cgroups, EngineError> {
        Cgroups::detect(&self.config.cgroup_parent).map_err(|error| EngineError::Io {
            what: "find the cgroup controllers".to_owned(),
            source: io::Error::other(error),
        })
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }
}
