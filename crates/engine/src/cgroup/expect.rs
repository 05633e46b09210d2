//! Waiting for the kernel before anybody has to.

use std::{fs, path::PathBuf};

use super::{Cgroups, hierarchy::Version};

impl Cgroups {
    /// Has the kernel begin what the next process to enter a cgroup would wait for: when none has entered one for a
    /// while, the first has to wait for a grace period of RCU (`cgroup_threadgroup_rwsem`), some milliseconds and on a
    /// busy machine tens of them. Nobody is moved: the calling process enters the cgroup that it is in.
    ///
    /// Takes as long itself: not for an async thread. Only a saving, so nobody is told when it cannot be done.
    pub fn expect_entry(&self) {
        if let Some(folder) = self.own_folder() {
            let _ = fs::write(folder.join("cgroup.procs"), "0");
        }
    }

    /// Where this process is itself.
    fn own_folder(&self) -> Option<PathBuf> {
        let pids = &self.hierarchies.pids;
        let own = own_path(&fs::read_to_string("/proc/self/cgroup").ok()?, pids.version)?;
        Some(pids.root.join(own.trim_start_matches('/')))
    }
}

/// Lines of `<number>:<controllers>:<path>`; on v2 without controllers (cgroups(7)).
fn own_path(cgroups: &str, version: Version) -> Option<String> {
    let mut lines = cgroups.lines().filter_map(|line| line.splitn(3, ':').skip(1).collect::<Vec<_>>().try_into().ok());
    let own = lines.find(|[controllers, _]: &[&str; 2]| match version {
        Version::V1 => controllers.split(',').any(|controller| controller == "pids"),
        Version::V2 => controllers.is_empty(),
    });
    own.map(|[_, path]| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_finds_its_own_cgroup() {
        let both = "12:cpu,cpuacct:/a:b\n11:pids:/c\n0::/d/e\n";
        assert_eq!(own_path(both, Version::V1).as_deref(), Some("/c"));
        assert_eq!(own_path(both, Version::V2).as_deref(), Some("/d/e"));
        assert_eq!(own_path("", Version::V2), None);
    }
}
