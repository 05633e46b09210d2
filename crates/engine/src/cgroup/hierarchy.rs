//! Which hierarchy holds which controller.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    EngineError,
    mounts::{self, Mount},
};

/// Why this machine's cgroups cannot serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum CgroupError {
    /// No hierarchy has this controller.
    #[error("no mounted cgroup hierarchy has the {0} controller")]
    NoController(&'static str),
    /// What is mounted cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// What was read.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// One mounted tree of cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    pub(super) root: PathBuf,
}

/// The tree of each controller that is used; several may share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchies {
    pub(super) memory: Hierarchy,
    pub(super) cpu: Hierarchy,
    /// Where used time is counted: `cpuacct` on v1, the cpu's own tree on v2.
    pub(super) accounting: Hierarchy,
    pub(super) pids: Hierarchy,
    /// Where processes are frozen, if the machine can do that.
    pub(super) freezer: Option<Hierarchy>,
}

impl Hierarchies {
    pub(super) fn detect() -> Result<Self, CgroupError> {
        let mounts =
            mounts::all().map_err(|source| CgroupError::Read { path: "/proc/self/mountinfo".into(), source })?;
        Self::among(&mounts)
    }

    pub(super) fn among(mounts: &[Mount]) -> Result<Self, CgroupError> {
        let cpu = hierarchy(mounts, "cpu")?;
        let accounting = match cpu.version {
            Version::V1 => hierarchy(mounts, "cpuacct")?,
            Version::V2 => cpu.clone(),
        };
        let (memory, pids) = (hierarchy(mounts, "memory")?, hierarchy(mounts, "pids")?);
        Ok(Self { memory, cpu, accounting, pids, freezer: freezer(mounts) })
    }

    /// Those that limit something.
    pub(super) fn limits(&self) -> [&Hierarchy; 3] {
        [&self.memory, &self.cpu, &self.pids]
    }

    /// Each tree once.
    pub(super) fn distinct(&self) -> Vec<&Hierarchy> {
        let mut found: Vec<&Hierarchy> = Vec::new();
        let all = [&self.memory, &self.cpu, &self.accounting, &self.pids].into_iter().chain(&self.freezer);
        for hierarchy in all {
            if !found.contains(&hierarchy) {
                found.push(hierarchy);
            }
        }
        found
    }

    pub(super) fn roots(&self) -> Vec<PathBuf> {
        self.distinct().into_iter().map(|hierarchy| hierarchy.root.clone()).collect()
    }
}

/// v2 only: lets the children of a folder use the controllers.
pub(super) fn hand_down(folder: &Path) -> Result<(), EngineError> {
    let path = folder.join("cgroup.subtree_control");
    let failed = |source| EngineError::Io { what: format!("enable the controllers in {}", path.display()), source };
    let enabled = fs::read_to_string(&path).map_err(failed)?;
    for controller in ["cpu", "memory", "pids"] {
        let there = fs::read_to_string(folder.join("cgroup.controllers")).map_err(failed)?;
        let has = |list: &str| list.split_whitespace().any(|name| name == controller);
        if has(&there) && !has(&enabled) {
            fs::write(&path, format!("+{controller}")).map_err(failed)?;
        }
    }
    Ok(())
}

/// On v2 every cgroup can be frozen, whatever its controllers.
fn freezer(mounts: &[Mount]) -> Option<Hierarchy> {
    let v2 = || mounts.iter().find(|mount| mount.kind == "cgroup2");
    let v2 = || v2().map(|mount| Hierarchy { version: Version::V2, root: mount.point.clone() });
    hierarchy(mounts, "freezer").ok().or_else(v2)
}

/// v1 wins: the kernel offers a controller on v2 only when no v1 hierarchy has it.
fn hierarchy(mounts: &[Mount], controller: &'static str) -> Result<Hierarchy, CgroupError> {
    let v1 =
        mounts.iter().find(|mount| mount.kind == "cgroup" && mount.options.iter().any(|option| option == controller));
    if let Some(mount) = v1 {
        return Ok(Hierarchy { version: Version::V1, root: mount.point.clone() });
    }
    for mount in mounts.iter().filter(|mount| mount.kind == "cgroup2") {
        let path = mount.point.join("cgroup.controllers");
        let there = fs::read_to_string(&path).map_err(|source| CgroupError::Read { path, source })?;
        if there.split_whitespace().any(|name| name == controller) {
            return Ok(Hierarchy { version: Version::V2, root: mount.point.clone() });
        }
    }
    Err(CgroupError::NoController(controller))
}
