//! The engine: what it is made of, and which part does what.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use sentinal_engine::{
    BootSpec, EngineError, ProbeFailure, ProbeReport, Turns,
    cgroup::{Cgroups, CgroupsOnce},
    host::{Hold, HostEngine, InstanceFolder},
    layer::Templates,
};
use sentinal_launcher::Started;
use sentinal_model::{EngineName, SandboxId};
use tokio_util::sync::CancellationToken;

use crate::{NativeConfig, Privilege, boot, images::Images, probe, trees::Trees, users::Users};

/// Sandboxes on this machine's own kernel.
#[derive(Debug)]
pub struct Native {
    config: NativeConfig,
    cgroups: CgroupsOnce,
    turns: Turns,
    templates: Templates,
    privilege: Privilege,
    images: Images,
    trees: Trees,
    users: Users,
}

impl Native {
    /// An engine that keeps everything where `config` says. Touches nothing yet.
    pub fn new(config: NativeConfig) -> Self {
        let privilege = Privilege::of_this_process();
        let trees = Trees::new(&config.folder, config.launcher.clone(), privilege);
        let users = Users::new(&config.folder);
        let cgroups = CgroupsOnce::new(config.cgroup_parent.clone());
        Self {
            config,
            cgroups,
            turns: Turns::default(),
            templates: Templates::default(),
            privilege,
            images: Images::default(),
            trees,
            users,
        }
    }

    pub(crate) fn config(&self) -> &NativeConfig {
        &self.config
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

    pub(crate) fn cgroups(&self) -> Result<&Cgroups, EngineError> {
        self.cgroups.get()
    }
}

impl HostEngine for Native {
    fn name(&self) -> EngineName {
        EngineName::Native
    }

    fn folder(&self) -> &Path {
        &self.config.folder
    }

    fn turns(&self) -> &Turns {
        &self.turns
    }

    fn hold(&self, id: &SandboxId) -> Result<Hold, EngineError> {
        match self.privilege {
            Privilege::Root => Ok(Hold::Cgroup(self.cgroups()?.of(id))),
            Privilege::Unprivileged(_) => Ok(Hold::FirstProcess(init(&self.instance(id)).and_then(Started::hold))),
        }
    }

    fn held(&self) -> Result<BTreeSet<SandboxId>, EngineError> {
        match self.privilege {
            Privilege::Root => self.cgroups()?.list(),
            Privilege::Unprivileged(_) => Ok(BTreeSet::new()),
        }
    }

    async fn probe(self: Arc<Self>) -> Result<ProbeReport, ProbeFailure> {
        probe::probe(&self).await
    }

    fn expect_boot(&self) {
        // Only a saving.
        if self.privilege == Privilege::Root
            && let Ok(cgroups) = self.cgroups()
        {
            cgroups.expect_entry();
        }
    }

    async fn boot(self: Arc<Self>, spec: BootSpec, stop: CancellationToken) -> Result<(), EngineError> {
        boot::boot(&self, &spec, &stop).await
    }

    fn release(&self, folder: &InstanceFolder) -> Result<(), EngineError> {
        self.users.release(folder)
    }
}

/// The sandbox's first process, if there ever was one, as the launcher wrote it down before it began: with the moment,
/// so that another process that has its number by now is not taken for it.
fn init(folder: &InstanceFolder) -> Option<Started> {
    fs::read_to_string(folder.pid_file()).ok()?.parse().ok()
}
