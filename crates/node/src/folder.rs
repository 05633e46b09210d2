//! What the node keeps on disk.
//!
//! ```text
//! <state>/            0755 root    held by one node at a time, by a lock on `lock`
//!   lock              0600
//!   instances/        0711 root
//!     sbx_.../        0711 root    so that the server cannot put a link in place of what is inside
//!       record.json   0600         replaced whole or not at all
//!       host/         0700 server  where the server listens for the agent
//!       engine/       0700 root    the engine's files of this instance
//! ```
//!
//! Where the node is an ordinary user's, that user stands for root and for the server.

mod instance;
mod remove;

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use sentinal_model::SandboxId;

pub(crate) use instance::{InstanceFolder, Kept};

/// A user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

impl Owner {
    /// Whoever runs this process.
    pub fn of_this_process() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }
}

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("{path} belongs to user {uid} or others may write to it; it must be this process's own")]
    NotOurs { path: PathBuf, uid: u32 },
    #[error("another `sentinal node` uses {path}; stop it first, or give this one another folder")]
    InUse { path: PathBuf },
    #[error("cannot {what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

/// The state folder, held by this process.
#[derive(Debug)]
pub(crate) struct StateFolder {
    path: PathBuf,
    /// Whom the sockets' folders belong to.
    server: Owner,
    /// Held until this process ends, however it ends, and by all that may still write.
    lock: Arc<File>,
}

impl StateFolder {
    /// Makes the folder where it is missing and takes hold of it.
    pub(crate) fn hold(path: &Path, server: Owner) -> Result<Self, FolderError> {
        make(path, 0o755)?;
        let lock = lock(path)?;
        make(&path.join("instances"), 0o711)?;
        Ok(Self { path: path.to_owned(), server, lock: Arc::new(lock) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of one sandbox, which need not exist.
    pub(crate) fn instance(&self, id: &SandboxId) -> InstanceFolder {
        InstanceFolder::new(self.instances().join(id.to_string()), self.server, Arc::clone(&self.lock))
    }

    /// Every sandbox that has a folder. Whatever else lies there is not ours to touch.
    pub(crate) fn all(&self) -> io::Result<Vec<SandboxId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(self.instances())? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                tracing::warn!(?name, "unknown file among the instances left alone");
                continue;
            };
            ids.push(id);
        }
        ids.sort_unstable();
        Ok(ids)
    }

    fn instances(&self) -> PathBuf {
        self.path.join("instances")
    }
}

/// A folder that only this process's user may write to.
pub(crate) fn make(path: &Path, mode: u32) -> Result<(), FolderError> {
    let failed = |what| move |source| FolderError::Io { what, path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed("make"))?;
    let found = fs::symlink_metadata(path).map_err(failed("look at"))?;
    let ours = found.is_dir() && found.uid() == Owner::of_this_process().uid;
    if !ours || found.mode() & 0o022 != 0 {
        return Err(FolderError::NotOurs { path: path.to_owned(), uid: found.uid() });
    }
    // Again without the umask.
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed("set the permissions of"))
}

fn lock(folder: &Path) -> Result<File, FolderError> {
    let path = folder.join("lock");
    let failed = |what| {
        let path = path.clone();
        move |source| FolderError::Io { what, path, source }
    };
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed("open"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FolderError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed("lock")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_cannot_hold_one_folder() {
        let place = tempfile::tempdir().unwrap();
        let server = Owner::of_this_process();
        let first = StateFolder::hold(&place.path().join("node"), server).unwrap();
        let second = StateFolder::hold(&place.path().join("node"), server).unwrap_err();
        assert!(matches!(second, FolderError::InUse { .. }), "{second}");
        drop(first);
        StateFolder::hold(&place.path().join("node"), server).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
        let error = StateFolder::hold(place.path(), Owner::of_this_process()).unwrap_err();
        assert!(matches!(error, FolderError::NotOurs { .. }), "{error}");
    }

    #[test]
    fn a_link_in_place_of_the_folder_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let link = place.path().join("node");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        let error = StateFolder::hold(&link, Owner::of_this_process()).unwrap_err();
        assert!(matches!(error, FolderError::NotOurs { .. }), "{error}");
    }
}
