//! `/proc` and `/sys`: the sandbox's own, without what tells of the host or changes it.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::{
    LaunchError, Step,
    error::At as _,
    mounts::{INERT, Mount, READ_ONLY},
};

/// Shown as empty, where they are.
const MASKED: [&str; 17] = [
    "proc/acpi",
    "proc/asound",
    "proc/interrupts",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/sched_debug",
    "proc/scsi",
    "proc/timer_list",
    "proc/timer_stats",
    "sys/block",
    "sys/devices/virtual/dmi",
    "sys/devices/virtual/powercap",
    "sys/firmware",
    "sys/fs",
    "sys/kernel",
    "sys/module",
];
/// Can be read, and not written to.
const READ_ONLY_PATHS: [&str; 5] = ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

/// `nothing`: an empty file.
pub(super) fn provide(root: &Path, nothing: &Path) -> Result<(), LaunchError> {
    Mount::new(Step::Tree, "proc", &[], INERT)?.attach(Step::Tree, &root.join("proc"))?;
    Mount::new(Step::Tree, "sysfs", &[("ro", None)], INERT | READ_ONLY)?.attach(Step::Tree, &root.join("sys"))?;
    for path in READ_ONLY_PATHS.into_iter().filter_map(|path| existing(root, path)) {
        Mount::clone_of(Step::Tree, &path, INERT | READ_ONLY)?.attach(Step::Tree, &path)?;
    }
    MASKED.into_iter().filter_map(|path| existing(root, path)).try_for_each(|path| mask(&path, nothing))
}

fn mask(path: &Path, nothing: &Path) -> Result<(), LaunchError> {
    let is_folder = fs::symlink_metadata(path).at(Step::Tree, &format!("look at {}", path.display()))?.is_dir();
    if is_folder {
        let options = [("size", Some("0")), ("nr_inodes", Some("1")), ("mode", Some("0555"))];
        return Mount::new(Step::Tree, "tmpfs", &options, INERT | READ_ONLY)?.attach(Step::Tree, path);
    }
    Mount::clone_of(Step::Tree, nothing, INERT | READ_ONLY)?.attach(Step::Tree, path)
}

fn existing(root: &Path, path: &str) -> Option<PathBuf> {
    let path = root.join(path);
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        // Anything else is told by what is done to it.
        Ok(_) | Err(_) => Some(path),
    }
}
