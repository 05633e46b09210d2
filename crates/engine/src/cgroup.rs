//! One cgroup per sandbox, on cgroup v1, v2, and machines that have both.
//!
//! A controller lives in exactly one hierarchy of a machine; which one is read from
//! `/proc/self/mountinfo`. A sandbox's cgroup is a folder of its id in each hierarchy that holds a
//! controller we use.
//!
//! Start at [`Cgroups`], then [`Cgroup`].

mod expect;
mod freeze;
mod hierarchy;
mod kill;
mod usage;
mod watch;

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use sentinal_model::{Cpu, Memory, SandboxId};
use tokio::time::{Instant, sleep};

use crate::EngineError;
use hierarchy::{Hierarchies, Hierarchy, Version, hand_down};

pub use watch::process_ended;

/// Period of the cpu limit, in microseconds.
const CPU_PERIOD_US: u64 = 100_000;
/// How often a cgroup is made whose parent goes away meanwhile.
const ATTEMPTS_MAX: u32 = 10;
/// How long an emptied cgroup may stay busy.
const REMOVE_DEADLINE: Duration = Duration::from_secs(5);
/// Between two looks at something that is about to happen.
pub(crate) const POLL: Duration = Duration::from_millis(2);

/// Where the sandboxes' cgroups are.
#[derive(Debug, Clone)]
pub struct Cgroups {
    hierarchies: Hierarchies,
    /// The folder in each hierarchy that holds ours and nobody else's.
    parent: String,
}

/// What a sandbox may use, enforced by the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory, the engine's own part included; no swap.
    pub memory: Memory,
    /// Host tasks: a backstop, since meeting it may end the sandbox.
    pub tasks: u32,
    /// What the kernel ends when the memory is full.
    pub out_of_memory: OutOfMemory,
}

/// What a full memory ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfMemory {
    /// Everything at once, where the kernel can: half of the engine is of no use to anybody.
    EndsAll,
    /// One process, of the kernel's choice.
    EndsOne,
}

/// The cgroup of one sandbox, whether it exists or not.
#[derive(Debug, Clone)]
pub struct Cgroup {
    hierarchies: Hierarchies,
    /// `<parent>/<id>`.
    path: PathBuf,
}

/// Where an engine's cgroups are: found when it is first asked for, since that reads all of the machine's mounts.
#[derive(Debug)]
pub struct CgroupsOnce {
    parent: String,
    found: OnceLock<Cgroups>,
}

impl CgroupsOnce {
    /// As for [`Cgroups::detect`]. Touches nothing yet.
    pub const fn new(parent: String) -> Self {
        Self { parent, found: OnceLock::new() }
    }

    /// What was found. A machine that cannot serve is looked at again the next time.
    pub fn get(&self) -> Result<&Cgroups, EngineError> {
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let found = Cgroups::detect(&self.parent)?;
        Ok(self.found.get_or_init(|| found))
    }
}

impl Cgroups {
    /// Finds this machine's controllers. `parent` must be a name of its own for each node on the machine:
    /// [`Cgroups::list`] takes everything beneath for ours.
    pub fn detect(parent: &str) -> Result<Self, EngineError> {
        let hierarchies = Hierarchies::detect().map_err(|error| EngineError::Io {
            what: "find the cgroup controllers".to_owned(),
            source: io::Error::other(error),
        })?;
        Ok(Self { hierarchies, parent: parent.to_owned() })
    }

    /// The cgroup of a sandbox.
    pub fn of(&self, id: &SandboxId) -> Cgroup {
        Cgroup { hierarchies: self.hierarchies.clone(), path: Path::new(&self.parent).join(id.to_string()) }
    }

    /// Every sandbox that has a cgroup in any hierarchy.
    pub fn list(&self) -> Result<BTreeSet<SandboxId>, EngineError> {
        let mut ids = BTreeSet::new();
        for root in self.hierarchies.roots() {
            let folder = root.join(&self.parent);
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(EngineError::io("list", &folder)(source)),
            };
            ids.extend(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<SandboxId>().ok()));
        }
        Ok(ids)
    }
}

/// Which versions the controllers are of: `cgroup v1`, `cgroup v2` or `cgroup v1 and v2`.
impl fmt::Display for Cgroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.hierarchies.limits();
        let has = |version| limits.iter().any(|hierarchy| hierarchy.version == version);
        f.write_str(match (has(Version::V1), has(Version::V2)) {
            (true, true) => "cgroup v1 and v2",
            (true, false) => "cgroup v1",
            (false, _) => "cgroup v2",
        })
    }
}

impl Cgroup {
    /// Makes it with its limits, all but the cpu's: see [`Cgroup::limit_cpu`]. Does nothing twice.
    pub fn create(&self, limits: Limits) -> Result<(), EngineError> {
        for hierarchy in self.hierarchies.distinct() {
            let mut attempt = 1;
            // The last sandbox's end may remove the parent at the same time.
            while let Err(error) = self.create_in(hierarchy) {
                if !is_missing(&error) || ATTEMPTS_MAX <= attempt {
                    return Err(error);
                }
                attempt += 1;
            }
        }
        let Hierarchies { memory, pids, .. } = &self.hierarchies;
        let bytes = limits.memory.bytes().to_string();
        match memory.version {
            Version::V1 => {
                self.write(memory, "memory.limit_in_bytes", &bytes)?;
                self.write_if_there(memory, "memory.memsw.limit_in_bytes", &bytes)?;
                self.write_if_there(memory, "memory.swappiness", "0")?;
            }
            Version::V2 => {
                self.write(memory, "memory.max", &bytes)?;
                self.write_if_there(memory, "memory.swap.max", "0")?;
                let group = if limits.out_of_memory == OutOfMemory::EndsAll { "1" } else { "0" };
                self.write_if_there(memory, "memory.oom.group", group)?;
            }
        }
        self.write(pids, "pids.max", &limits.tasks.to_string())
    }

    /// Limits the cpu. Apart from [`Cgroup::create`], so that a boot is not slowed down by a small limit.
    pub fn limit_cpu(&self, cpu: Cpu) -> Result<(), EngineError> {
        let quota_us = u64::from(cpu.milli()) * CPU_PERIOD_US / 1000;
        let hierarchy = &self.hierarchies.cpu;
        match hierarchy.version {
            Version::V1 => {
                self.write(hierarchy, "cpu.cfs_period_us", &CPU_PERIOD_US.to_string())?;
                self.write(hierarchy, "cpu.cfs_quota_us", &quota_us.to_string())
            }
            Version::V2 => self.write(hierarchy, "cpu.max", &format!("{quota_us} {CPU_PERIOD_US}")),
        }
    }

    /// The files into which a process writes `0` to enter.
    pub fn entrances(&self) -> Vec<PathBuf> {
        self.folders().map(|folder| folder.join("cgroup.procs")).collect()
    }

    /// Whether any of it exists.
    pub fn exists(&self) -> bool {
        self.folders().any(|folder| folder.exists())
    }

    /// Removes it, with all beneath it, and the parent when it was the last. It must hold no process.
    /// Succeeds when there is nothing.
    pub async fn remove(&self) -> Result<(), EngineError> {
        let deadline = Instant::now() + REMOVE_DEADLINE;
        for folder in self.folders() {
            loop {
                match remove_tree(&folder) {
                    Ok(()) => break,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                    // The kernel lets go of a cgroup a little after its last process.
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
                        sleep(POLL).await;
                    }
                    Err(source) => return Err(EngineError::io("remove", &folder)(source)),
                }
            }
        }
        for parent in self.folders().filter_map(|folder| folder.parent().map(Path::to_owned)) {
            // Not an error: other sandboxes may be there.
            let _ = fs::remove_dir(parent);
        }
        Ok(())
    }

    fn create_in(&self, hierarchy: &Hierarchy) -> Result<(), EngineError> {
        let folder = hierarchy.root.join(&self.path);
        if hierarchy.version == Version::V2 {
            hand_down(&hierarchy.root)?;
            let parent = folder.parent().unwrap_or(&hierarchy.root);
            fs::create_dir_all(parent).map_err(EngineError::io("make", parent))?;
            hand_down(parent)?;
        }
        fs::create_dir_all(&folder).map_err(EngineError::io("make", &folder))
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.hierarchies.roots().into_iter().map(|root| root.join(&self.path))
    }

    fn file(&self, hierarchy: &Hierarchy, name: &str) -> PathBuf {
        hierarchy.root.join(&self.path).join(name)
    }

    fn write(&self, hierarchy: &Hierarchy, name: &str, value: &str) -> Result<(), EngineError> {
        let path = self.file(hierarchy, name);
        fs::write(&path, value).map_err(EngineError::io("write", &path))
    }

    fn write_if_there(&self, hierarchy: &Hierarchy, name: &str, value: &str) -> Result<(), EngineError> {
        if self.file(hierarchy, name).exists() { self.write(hierarchy, name, value) } else { Ok(()) }
    }
}

/// The parent of an engine's cgroups. Two nodes of one machine have two folders, and so two parents: neither takes
/// the other's sandboxes for its own.
pub fn parent_for(engine: &str, folder: &Path) -> String {
    // FNV-1a: the name must be the same in every run and every build.
    let hash = folder
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("sentinal-{engine}-{hash:016x}")
}

fn is_missing(error: &EngineError) -> bool {
    matches!(error, EngineError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// Only folders can be removed in a cgroup tree; their files go with them.
fn remove_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests;
