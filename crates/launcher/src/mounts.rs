//! File systems and mounts that are attached nowhere yet.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::CWD,
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
    },
};

use crate::{LaunchError, Step, error::At as _, sys};

/// Neither devices nor programs that change who they run as.
pub(crate) const HARMLESS: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);
/// And nothing to execute.
pub(crate) const INERT: MountAttrFlags = HARMLESS.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);
/// And nothing to write to.
pub(crate) const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;

/// How much of the kernel's own words is kept.
const REASON_BYTES_MAX: usize = 256;

/// A mount without a place. Closed before it has one, it is gone.
#[derive(Debug)]
pub(crate) struct Mount(OwnedFd);

impl Mount {
    /// A file system. An option without a value is a flag.
    pub(crate) fn new(
        step: Step,
        kind: &str,
        options: &[(&str, Option<&str>)],
        flags: MountAttrFlags,
    ) -> Result<Self, LaunchError> {
        let what = format!("mount {kind}");
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).at(step, &what)?;
        for (name, value) in options {
            let set = match value {
                Some(value) => fsconfig_set_string(context.as_fd(), *name, *value),
                None => fsconfig_set_flag(context.as_fd(), *name),
            };
            set.at(step, &format!("{what} with {name}"))?;
        }
        let created = fsconfig_create(context.as_fd());
        created.map_err(|error| LaunchError::new(step, &what, reason(&context, error)))?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags).map(Self).at(step, &what)
    }

    /// Another view of something that is mounted somewhere.
    pub(crate) fn clone_of(step: Step, path: &Path, flags: MountAttrFlags) -> Result<Self, LaunchError> {
        let what = format!("take {} along", path.display());
        let how = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let mount = open_tree(CWD, path, how).at(step, &what)?;
        sys::set_attributes(mount.as_fd(), flags, None).at(step, &what)?;
        Ok(Self(mount))
    }

    pub(crate) fn from_file(file: OwnedFd) -> Self {
        Self(file)
    }

    /// Numbers of users on disk are the sandbox's own from now on.
    pub(crate) fn map_users(&self, users: BorrowedFd<'_>, what: &str) -> Result<(), LaunchError> {
        sys::set_attributes(self.0.as_fd(), MountAttrFlags::empty(), Some(users))
            .at(Step::Users, &format!("give {what} the sandbox's users"))
    }

    /// Gives it a place.
    pub(crate) fn attach(self, step: Step, path: &Path) -> Result<(), LaunchError> {
        let moved = move_mount(self.0.as_fd(), c"", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH);
        moved.at(step, &format!("mount on {}", path.display()))
    }
}

impl AsFd for Mount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The kernel's answer, with what it had to say about it.
fn reason(context: &OwnedFd, error: Errno) -> String {
    let mut said = [0; REASON_BYTES_MAX];
    let length = rustix::io::read(context, &mut said).unwrap_or(0);
    let error = io::Error::from(error);
    if length == 0 {
        error.to_string()
    } else {
        format!("{error} ({})", String::from_utf8_lossy(&said[..length]).trim())
    }
}
