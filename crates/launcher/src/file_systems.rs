//! The image and the layer, each as a mount without a place that knows the sandbox's users.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, chmodat, mkdirat, openat},
    io::Errno,
};

use crate::{
    LaunchError, Step,
    error::At as _,
    loops::Loop,
    mounts::{HARMLESS, INERT, Mount, READ_ONLY},
};

/// On the layer: what the sandbox writes, and what overlayfs needs to do that.
pub(crate) const UPPER: &str = "upper";
pub(crate) const WORK: &str = "work";
/// The agent's folder, below the root; nobody but root inside may enter.
pub(crate) const OWN: &str = ".sentinal";
pub(crate) const AGENT: &str = "agent";
pub(crate) const SOCKETS: &str = "host";

/// The image: one file system for all sandboxes that have it, however often it is mounted.
pub(crate) fn image(device: &Path, users: BorrowedFd<'_>) -> Result<Mount, LaunchError> {
    let device = text(device)?;
    let options = [("source", Some(device)), ("ro", None)];
    let image = Mount::new(Step::FileSystem, "erofs", &options, HARMLESS | READ_ONLY)?;
    image.map_users(users, "the image")?;
    Ok(image)
}

/// The layer, with the folders of ours that the root needs.
pub(crate) fn layer(file: &Path, users: BorrowedFd<'_>) -> Result<Mount, LaunchError> {
    let device = Loop::writable(file).at(Step::Loop, "attach the layer to a loop device")?;
    let options =
        [("source", Some(text(device.path())?)), ("discard", None), ("noinit_itable", None), ("nobarrier", None)];
    let flags = HARMLESS | rustix::mount::MountAttrFlags::MOUNT_ATTR_NOATIME;
    let layer = Mount::new(Step::FileSystem, "ext4", &options, flags)?;
    // On disk they are root's: inside, they will be root's.
    furnish(layer.as_fd()).at(Step::FileSystem, "make the layer's folders")?;
    layer.map_users(users, "the layer")?;
    Ok(layer)
}

fn furnish(layer: BorrowedFd<'_>) -> Result<(), Errno> {
    folder(layer, WORK, 0o700)?;
    folder(layer, UPPER, 0o755)?;
    let upper = openat(layer, UPPER, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    folder(upper.as_fd(), OWN, 0o700)?;
    let own = openat(&upper, OWN, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    folder(own.as_fd(), SOCKETS, 0o700)?;
    openat(&own, AGENT, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR)?;
    // What every root has; an image may lack it.
    ["dev", "proc", "sys"].into_iter().try_for_each(|name| folder(upper.as_fd(), name, 0o755))
}

fn folder(parent: BorrowedFd<'_>, name: &str, mode: u32) -> Result<(), Errno> {
    mkdirat(parent, name, Mode::from_raw_mode(mode))?;
    // Again without the umask.
    chmodat(parent, name, Mode::from_raw_mode(mode), AtFlags::empty())
}

/// The agent, of which all sandboxes share the file.
pub(crate) fn agent(path: &Path) -> Result<Mount, LaunchError> {
    Mount::clone_of(Step::FileSystem, path, HARMLESS | READ_ONLY)
}

/// The folder of the server's socket. Its owner on the host is one of the sandbox's users inside, so that root
/// inside may do with it what root may, and nobody else passes the folder above it.
pub(crate) fn sockets(path: &Path, users: BorrowedFd<'_>) -> Result<Mount, LaunchError> {
    let sockets = Mount::clone_of(Step::FileSystem, path, INERT | READ_ONLY)?;
    sockets.map_users(users, "the socket's folder")?;
    Ok(sockets)
}

fn text(path: &Path) -> Result<&str, LaunchError> {
    path.to_str().ok_or_else(|| LaunchError::new(Step::Plan, "use a path", "it is not UTF-8"))
}
