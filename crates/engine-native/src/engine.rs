//! The verbs.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use sentinal_engine::{
    BootSpec, EndReason, Engine, EngineError, Instance, InstanceState, InstanceUsage, ProbeFailure, ProbeReport, Turns,
    cgroup::Cgroups, layer::Templates, to_its_end,
};
use sentinal_model::{
    EngineName, SandboxId,
    limits::{BOOT_DEADLINE, HALT_DEADLINE},
};
use tokio_util::sync::CancellationToken;

use crate::{
    NativeConfig, Privilege, boot,
    folder::{self, InstanceFolder},
    halt,
    hold::Hold,
    images::Images,
    probe,
    trees::Trees,
    users::Users,
};

/// Sandboxes on this machine's own kernel.
#[derive(Debug, Clone)]
pub struct NativeEngine(Arc<Host>);

/// What the verbs share.
#[derive(Debug)]
pub(crate) struct Host {
    config: NativeConfig,
    turns: Turns,
    templates: Templates,
    privilege: Privilege,
    images: Images,
    trees: Trees,
    users: Users,
}

impl NativeEngine {
    /// An engine that keeps everything where `config` says. Touches nothing yet.
    pub fn new(config: NativeConfig) -> Self {
        let privilege = Privilege::of_this_process();
        let trees = Trees::new(&config.folder, config.launcher.clone(), privilege);
        let users = Users::new(&config.folder);
        Self(Arc::new(Host {
            config,
            turns: Turns::default(),
            templates: Templates::default(),
            privilege,
            images: Images::default(),
            trees,
            users,
        }))
    }

    fn state(&self, id: &SandboxId) -> Result<InstanceState, EngineError> {
        let folder = self.0.folder(id);
        if !folder.is_booted() {
            return Ok(InstanceState::Partial);
        }
        Ok(self.0.hold(id)?.state(folder.pid()))
    }

    /// What holds an instance that is alive.
    fn alive(&self, id: &SandboxId) -> Result<Hold, EngineError> {
        match self.state(id)? {
            InstanceState::Running | InstanceState::Paused => self.0.hold(id),
            InstanceState::Partial | InstanceState::Ended(_) => Err(EngineError::NotFound(*id)),
        }
    }
}

#[async_trait]
impl Engine for NativeEngine {
    fn name(&self) -> EngineName {
        EngineName::Native
    }

    async fn probe(&self) -> Result<ProbeReport, ProbeFailure> {
        probe::probe(&self.0).await
    }

    fn expect_boot(&self) {
        let host = Arc::clone(&self.0);
        if host.privilege == Privilege::Root {
            tokio::task::spawn_blocking(move || host.cgroups().map(|cgroups| cgroups.expect_entry()));
        }
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

    async fn list(&self) -> Result<Vec<Instance>, EngineError> {
        let mut ids: BTreeSet<_> = folder::list(&self.0.config.folder)?.into_iter().collect();
        if self.0.privilege == Privilege::Root {
            ids.extend(self.0.cgroups()?.list()?);
        }
        ids.retain(|id| !self.0.turns.is_hidden(id));
        ids.into_iter().map(|id| Ok(Instance { id, state: self.state(&id)? })).collect()
    }

    async fn stats(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
        let folder = self.0.folder(id);
        if !folder.is_booted() {
            return Err(EngineError::NotFound(*id));
        }
        Ok(InstanceUsage { disk_bytes: folder.layer().disk_bytes(), ..self.0.hold(id)?.usage() })
    }

    async fn ended(&self, id: &SandboxId) -> Result<EndReason, EngineError> {
        let folder = self.0.folder(id);
        if !folder.is_booted() {
            return Err(EngineError::NotFound(*id));
        }
        let hold = self.0.hold(id)?;
        hold.ended(folder.pid()).await?;
        Ok(hold.end_reason())
    }
}

impl Host {
    pub(crate) fn config(&self) -> &NativeConfig {
        &self.config
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    pub(crate) fn templates(&self) -> &Templates {
        &self.templates
    }

    pub(crate) fn images(&self) -> &Images {
        &self.images
    }

    pub(crate) fn trees(&self) -> &Trees {
        &self.trees
    }

    pub(crate) const fn privilege(&self) -> Privilege {
        self.privilege
    }

    pub(crate) fn users(&self) -> &Users {
        &self.users
    }

    pub(crate) fn folder(&self, id: &SandboxId) -> InstanceFolder {
        InstanceFolder::new(&self.config.folder, *id)
    }

    /// What holds the processes of an instance, as far as they are known now.
    pub(crate) fn hold(&self, id: &SandboxId) -> Result<Hold, EngineError> {
        match self.privilege {
            Privilege::Root => Ok(Hold::Cgroup(self.cgroups()?.of(id))),
            Privilege::Unprivileged(_) => Ok(Hold::of_init(&self.folder(id))),
        }
    }

    pub(crate) fn cgroups(&self) -> Result<Cgroups, EngineError> {
        Cgroups::detect(&self.config.cgroup_parent).map_err(|error| EngineError::Io {
            what: "find the cgroup controllers".to_owned(),
            source: std::io::Error::other(error),
        })
    }
}
