//! `/dev`: a few devices of the host that hold nothing of it, and terminals of the sandbox's own.

use std::{
    fs::{DirBuilder, File},
    os::unix::fs::{DirBuilderExt as _, symlink},
    path::Path,
};

use rustix::mount::MountAttrFlags;

use crate::{
    LaunchError, Step,
    error::At as _,
    mounts::{INERT, Mount},
};

/// Devices that are the same for everybody.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];
/// Terminals of one sandbox.
const TERMINALS_MAX: &str = "64";

/// Devices must work, so this is all they lose.
const DEVICE: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Taken along from the host's `/dev`.
pub(super) fn of_the_host() -> Result<[Mount; DEVICES.len()], LaunchError> {
    let mut devices = Vec::with_capacity(DEVICES.len());
    for name in DEVICES {
        devices.push(Mount::clone_of(Step::Tree, &Path::new("/dev").join(name), DEVICE)?);
    }
    devices.try_into().map_err(|_| LaunchError::new(Step::Tree, "take the devices along", "one is missing"))
}

pub(super) fn provide(root: &Path, devices: [Mount; DEVICES.len()], shm_bytes: u64) -> Result<(), LaunchError> {
    let dev = root.join("dev");
    let options = [("mode", Some("0755")), ("size", Some("64k")), ("nr_inodes", Some("1024"))];
    Mount::new(Step::Tree, "tmpfs", &options, DEVICE)?.attach(Step::Tree, &dev)?;
    for (name, device) in DEVICES.into_iter().zip(devices) {
        let point = dev.join(name);
        File::create_new(&point).at(Step::Tree, "make a device's place")?;
        device.attach(Step::Tree, &point)?;
    }
    for (target, name) in LINKS {
        symlink(target, dev.join(name)).at(Step::Tree, "make a link in /dev")?;
    }
    terminals(&dev)?;
    shared_memory(&dev, shm_bytes)
}

fn terminals(dev: &Path) -> Result<(), LaunchError> {
    let point = dev.join("pts");
    folder(&point)?;
    let options =
        [("newinstance", None), ("ptmxmode", Some("0666")), ("mode", Some("0620")), ("max", Some(TERMINALS_MAX))];
    Mount::new(Step::Tree, "devpts", &options, DEVICE)?.attach(Step::Tree, &point)
}

fn shared_memory(dev: &Path, bytes: u64) -> Result<(), LaunchError> {
    let point = dev.join("shm");
    folder(&point)?;
    let size = bytes.to_string();
    let options = [("mode", Some("1777")), ("size", Some(size.as_str()))];
    Mount::new(Step::Tree, "tmpfs", &options, INERT)?.attach(Step::Tree, &point)
}

fn folder(path: &Path) -> Result<(), LaunchError> {
    DirBuilder::new().mode(0o755).create(path).at(Step::Tree, "make a folder in /dev")
}
