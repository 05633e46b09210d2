//! The engine: what it is made of, and which part does what.

use std::{collections::BTreeSet, fs, io, path::Path, sync::Arc};

use sentinal_engine::{
    BootSpec, EngineError, ProbeFailure, ProbeReport, Turns,
    cgroup::{Cgroups, CgroupsOnce},
    host::{Hold, HostEngine, InstanceFolder},
    layer::Templates,
};
use sentinal_model::{EngineName, SandboxId};
use tokio_util::sync::CancellationToken;

use crate::{GvisorConfig, boot, probe, rest};

/// Where `runsc` puts its socket when the path in its own folder would be too long for one.
const SOCKET_FOLDERS: [&str; 3] = ["/var/run", "/run", "/tmp"];

/// gVisor on this machine.
#[derive(Debug)]
pub struct Gvisor {
    config: GvisorConfig,
    cgroups: CgroupsOnce,
    turns: Turns,
    templates: Templates,
}

impl Gvisor {
    /// An engine that keeps everything where `config` says. Touches nothing yet.
    pub fn new(config: GvisorConfig) -> Self {
        let cgroups = CgroupsOnce::new(config.cgroup_parent.clone());
        Self { config, cgroups, turns: Turns::default(), templates: Templates::default() }
    }

    pub(crate) fn config(&self) -> &GvisorConfig {
        &self.config
    }

    pub(crate) fn templates(&self) -> &Templates {
        &self.templates
    }

    pub(crate) fn cgroups(&self) -> Result<&Cgroups, EngineError> {
        self.cgroups.get()
    }
}

impl HostEngine for Gvisor {
    fn name(&self) -> EngineName {
        EngineName::Gvisor
    }

    fn folder(&self) -> &Path {
        &self.config.folder
    }

    fn turns(&self) -> &Turns {
        &self.turns
    }

    fn hold(&self, id: &SandboxId) -> Result<Hold, EngineError> {
        Ok(Hold::Cgroup(self.cgroups()?.of(id)))
    }

    fn held(&self) -> Result<BTreeSet<SandboxId>, EngineError> {
        self.cgroups()?.list()
    }

    async fn probe(self: Arc<Self>) -> Result<ProbeReport, ProbeFailure> {
        probe::probe(&self).await
    }

    fn expect_boot(&self) {
        // Only a saving.
        if let Ok(cgroups) = self.cgroups() {
            cgroups.expect_entry();
        }
    }

    async fn boot(self: Arc<Self>, spec: BootSpec, stop: CancellationToken) -> Result<(), EngineError> {
        boot::boot(&self, &spec, &stop).await
    }

    fn release(&self, folder: &InstanceFolder) -> Result<(), EngineError> {
        for place in SOCKET_FOLDERS {
            let socket = Path::new(place).join(format!("runsc-{}.sock", folder.id()));
            match fs::remove_file(&socket) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(EngineError::io("remove", &socket)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn can_rest(&self) -> bool {
        true
    }

    fn rest(&self, pid: i32) -> Result<(), EngineError> {
        rest::rest(pid).map_err(slack)
    }

    fn rouse(&self, pid: i32) -> Result<(), EngineError> {
        rest::rouse(pid).map_err(slack)
    }
}

fn slack(source: io::Error) -> EngineError {
    EngineError::Io { what: "set the timer slack of the sandbox".to_owned(), source }
}
