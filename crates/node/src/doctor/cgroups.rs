//! Where each cgroup controller is, and whether cgroups can be made there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sentinal_engine::mounts::{self, Mount};
use sentinal_model::EngineName;

use super::{Check, Finding};

const BOTH: &[EngineName] = &[EngineName::Gvisor, EngineName::Native];

/// Each controller under its check's name, and who needs it. Without the freezer nothing can be paused.
const CONTROLLERS: [(&str, &str, &[EngineName]); 4] = [
    ("memory", "cgroup memory", BOTH),
    ("cpu", "cgroup cpu", BOTH),
    ("pids", "cgroup pids", BOTH),
    ("freezer", "cgroup freezer", &[]),
];

/// Tries to make some of this name.
pub(super) fn checks(trial: &str) -> Vec<Check> {
    let mounts = mounts::all().unwrap_or_default();
    let check = |(controller, name, needed_by)| Check { name, finding: finding(controller, &mounts, trial), needed_by };
    CONTROLLERS.into_iter().map(check).collect()
}

fn finding(controller: &str, mounts: &[Mount], trial: &str) -> Finding {
    let Some((version, root)) = hierarchy(controller, mounts) else {
        let remedy = format!("mount a cgroup hierarchy with the {controller} controller, v1 or v2");
        return Finding::lacking(format!("no mounted cgroup hierarchy has the {controller} controller"), remedy);
    };
    let place = format!("cgroup {version} at {}", root.display());
    let trial = root.join(trial);
    match fs::create_dir(&trial).and_then(|()| fs::remove_dir(&trial)) {
        Ok(()) => Finding::Fine(place),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_root() => Finding::Unknown {
            why: format!("{place}; only root can try to make cgroups there, and without root none are used"),
        },
        Err(error) => {
            let remedy = "mount it writable, or delegate a part of it to the node";
            Finding::lacking(format!("{place}: no cgroup can be made there: {error}"), remedy)
        }
    }
}

/// The version and the root of the hierarchy that has the controller.
fn hierarchy(controller: &str, mounts: &[Mount]) -> Option<(&'static str, PathBuf)> {
    let v1 = mounts.iter().find(|mount| mount.kind == "cgroup" && mount.options.iter().any(|one| one == controller));
    if let Some(mount) = v1 {
        return Some(("v1", mount.point.clone()));
    }
    let v2 = mounts.iter().find(|mount| mount.kind == "cgroup2" && has(&mount.point, controller));
    v2.map(|mount| ("v2", mount.point.clone()))
}

/// Freezing is no controller in v2: every cgroup but the root can.
fn has(root: &Path, controller: &str) -> bool {
    let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    controller == "freezer" || controllers.split_whitespace().any(|one| one == controller)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Removes those of these names, which are in no use.
pub(super) fn remove(names: &[String]) {
    let mounts = mounts::all().unwrap_or_default();
    for mount in mounts.iter().filter(|mount| mount.kind.starts_with("cgroup")) {
        for name in names {
            // Not an error: most are not there, and one that is not empty is found by the next doctor.
            let _ = fs::remove_dir(mount.point.join(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mountinfo: &str, controller: &str, expected: Option<(&str, &str)>) {
        let found = hierarchy(controller, &mounts::parse(mountinfo));
        assert_eq!(found, expected.map(|(version, root)| (version, PathBuf::from(root))));
    }

    #[test]
    fn a_controller_is_where_its_hierarchy_is_mounted() {
        let v2 = tempfile::tempdir().unwrap();
        fs::write(v2.path().join("cgroup.controllers"), "cpuset cpu pids\n").unwrap();
        let v2 = v2.path().to_str().unwrap();
        let hybrid = format!(
            "30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n31 25 0:27 / {v2} rw - cgroup2 cgroup2 rw\n"
        );
        check(&hybrid, "memory", Some(("v1", "/sys/fs/cgroup/memory")));
        check(&hybrid, "cpu", Some(("v2", v2)));
        check(&hybrid, "freezer", Some(("v2", v2)));
        check(&hybrid, "io", None);
        check("", "memory", None);
    }
}
