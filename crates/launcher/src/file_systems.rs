//! What a root is made of, each as a mount without a place that knows the sandbox's users. Root on the host opens it
//! outside; an ordinary user's launcher, inside.

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
/// As many files as `mkfs.ext4` would make room for.
const LAYER_BYTES_PER_INODE: u64 = 16 << 10;
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

/// The image where no file system could be made of it: the folder that it was unpacked into.
pub(crate) fn unpacked_image(folder: &Path) -> Result<Mount, LaunchError> {
    Mount::clone_of(Step::FileSystem, folder, HARMLESS | READ_ONLY)
}

/// The layer where no file could be mounted: memory. Whoever makes it is the user it belongs to.
pub(crate) fn layer_in_memory(bytes: u64) -> Result<Mount, LaunchError> {
    let (size, inodes) = (bytes.to_string(), (bytes / LAYER_BYTES_PER_INODE).to_string());
    let options = [("size", Some(size.as_str())), ("nr_inodes", Some(inodes.as_str())), ("mode", Some("0700"))];
    let layer = Mount::new(Step::FileSystem, "tmpfs", &options, HARMLESS)?;
    furnish(layer.as_fd()).at(Step::FileSystem, "make the layer's folders")?;
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

/// The folder of the server's socket, for a sandbox without users of its own.
pub(crate) fn own_sockets(path: &Path) -> Result<Mount, LaunchError> {
    Mount::clone_of(Step::FileSystem, path, INERT | READ_ONLY)
}

/// The folder of the server's socket. Its owner on the host is one of the sandbox's users inside, so that root
/// inside may do with it what root may, and nobody else passes the folder above it.
pub(crate) fn sockets(path: &Path, users: BorrowedFd<'_>) -> Result<Mount, LaunchError> {
    let sockets = own_sockets(path)?;
    sockets.map_users(users, "the socket's folder")?;
    Ok(sockets)
}

fn text(path: &Path) -> Result<&str, LaunchError> {
    path.to_str().ok_or_else(|| LaunchError::new(Step::Plan, "use a path", "it is not UTF-8"))
}
