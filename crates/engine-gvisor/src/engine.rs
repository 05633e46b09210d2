//! The verbs.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use sentinal_engine::{
    BootSpec, EndReason, Engine, EngineError, Instance, InstanceState, InstanceUsage, ProbeFailure, ProbeReport,
    cgroup::Cgroups, layer::Templates, mounts,
};
use sentinal_model::{
    EngineName, SandboxId,
    limits::{BOOT_DEADLINE, HALT_DEADLINE},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    GvisorConfig, boot,
    folder::{self, InstanceFolder, failed},
    halt, probe,
};

/// gVisor on this machine.
#[derive(Debug, Clone)]
pub struct GvisorEngine(Arc<Host>);

/// What the verbs share.
#[derive(Debug)]
pub(crate) struct Host {
    config: GvisorConfig,
    /// One verb at a time changes an instance.
    locks: Mutex<BTreeMap<SandboxId, Arc<tokio::sync::Mutex<()>>>>,
    templates: Templates,
    /// Instances of probes, which are nobody's to halt.
    probing: Mutex<BTreeSet<SandboxId>>,
}

/// A running probe.
#[derive(Debug)]
pub(crate) struct Probing<'a> {
    host: &'a Host,
    id: SandboxId,
}

impl GvisorEngine {
    /// An engine that keeps everything where `config` says. Touches nothing yet.
    pub fn new(config: GvisorConfig) -> Self {
        Self(Arc::new(Host {
            config,
            locks: Mutex::default(),
            templates: Templates::default(),
            probing: Mutex::default(),
        }))
    }

    fn state(&self, id: &SandboxId) -> Result<InstanceState, EngineError> {
        let folder = self.0.folder(id);
        if !folder.is_booted() {
            return Ok(InstanceState::Partial);
        }
        let cgroup = self.0.cgroups()?.of(id);
        let is_running = folder.pid().is_some_and(|pid| cgroup.holds(pid));
        Ok(if is_running { InstanceState::Running } else { InstanceState::Ended(cgroup.end_reason()) })
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

    async fn boot(&self, spec: &BootSpec) -> Result<(), EngineError> {
        let stop = CancellationToken::new();
        // Stops the boot at the deadline, and when this future is dropped.
        let _stop = stop.clone().drop_guard();
        let (host, spec) = (Arc::clone(&self.0), spec.clone());
        let work = async move {
            let _alone = host.lock(&spec.id).lock_owned().await;
            boot::boot(&host, &spec, &stop).await
        };
        to_its_end("the boot", BOOT_DEADLINE, work).await
    }

    async fn halt(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
        let (host, id) = (Arc::clone(&self.0), *id);
        let work = async move {
            let _alone = host.lock(&id).lock_owned().await;
            halt::remove(&host, &id).await
        };
        to_its_end("the halt", HALT_DEADLINE, work).await
    }

    async fn list(&self) -> Result<Vec<Instance>, EngineError> {
        let engine = &self.0.config.folder;
        let mounted = mounts::beneath(engine).map_err(failed("list what is mounted in", engine))?;
        let mounted = mounted.iter().filter_map(|mount| id_beneath(engine, &mount.point));
        let mut ids = self.0.cgroups()?.list()?;
        ids.extend(folder::list(engine)?.into_iter().chain(mounted));
        ids.retain(|id| !self.0.is_probing(id));
        ids.into_iter().map(|id| Ok(Instance { id, state: self.state(&id)? })).collect()
    }

    async fn stats(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
        let folder = self.0.folder(id);
        if !folder.is_booted() {
            return Err(EngineError::NotFound(*id));
        }
        Ok(InstanceUsage { disk_bytes: folder.layer().used_bytes(), ..self.0.cgroups()?.of(id).usage() })
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
            source: std::io::Error::other(error),
        })
    }

    /// Hides an instance from [`Engine::list`] until the value is dropped.
    pub(crate) fn probing(&self, id: SandboxId) -> Probing<'_> {
        held(&self.probing).insert(id);
        Probing { host: self, id }
    }

    fn is_probing(&self, id: &SandboxId) -> bool {
        held(&self.probing).contains(id)
    }

    fn lock(&self, id: &SandboxId) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = held(&self.locks);
        locks.retain(|_, lock| 1 < Arc::strong_count(lock));
        Arc::clone(locks.entry(*id).or_default())
    }
}

impl Drop for Probing<'_> {
    fn drop(&mut self) {
        held(&self.host.probing).remove(&self.id);
    }
}

/// Runs in a task of its own, so that dropping the caller's future cannot leave a change half done without
/// its lock. The task ends by itself: every step in it has a deadline.
async fn to_its_end<T: Send + 'static>(
    what: &str,
    deadline: Duration,
    work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
) -> Result<T, EngineError> {
    let ended = timeout(deadline, tokio::spawn(work)).await;
    let ended = ended.map_err(|_| EngineError::Deadline { what: what.to_owned(), deadline })?;
    ended.map_err(|error| EngineError::Io { what: format!("finish {what}"), source: error.into() })?
}

fn id_beneath(engine: &Path, point: &Path) -> Option<SandboxId> {
    point.strip_prefix(engine).ok()?.iter().next()?.to_str()?.parse().ok()
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
