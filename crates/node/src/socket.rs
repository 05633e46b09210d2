//! The socket that the node listens on.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    },
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

use crate::Owner;

/// Why the node cannot listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    #[error("another process answers on {path}; stop it first, or listen elsewhere")]
    InUse { path: PathBuf },
    #[error("{path} exists and is no socket; remove it or listen elsewhere")]
    NotASocket { path: PathBuf },
    #[error("cannot {what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

/// The socket's file, removed when the node ends.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A file that stays is removed by the next node.
        let _ = fs::remove_file(&self.0);
    }
}

/// Listens on `path`, for `server` and root alone. A socket that nobody answers on is replaced.
pub(crate) fn listen(path: &Path, server: Owner) -> Result<(UnixListener, SocketFile), SocketError> {
    let failed = |what| move |source| SocketError::Io { what, path: path.to_owned(), source };
    remove_stale(path)?;
    let listener = UnixListener::bind(path).map_err(failed("listen on"))?;
    let file = SocketFile(path.to_owned());
    hand_over(path, server).map_err(failed("hand over"))?;
    Ok((listener, file))
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let failed = |what| move |source| SocketError::Io { what, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("remove the stale"))
        }
        Err(error) => Err(failed("ask who listens on")(error)),
    }
}

/// Through a descriptor of the very file, since its folder may be the server's: a link that is put in its
/// place must not be handed over instead.
fn hand_over(path: &Path, server: Owner) -> io::Result<()> {
    const O_PATH_NOFOLLOW: u32 = rustix::fs::OFlags::PATH.union(rustix::fs::OFlags::NOFOLLOW).bits();
    let file: File = OpenOptions::new().read(true).custom_flags(O_PATH_NOFOLLOW.cast_signed()).open(path)?;
    let found = file.metadata()?;
    let ours = found.file_type().is_socket() && found.uid() == Owner::of_this_process().uid && found.nlink() == 1;
    if !ours {
        return Err(io::Error::other("somebody replaced the socket"));
    }
    let by_descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::set_permissions(&by_descriptor, Permissions::from_mode(0o600))?;
    chown(by_descriptor, Some(server.uid), Some(server.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("node.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (_listener, file) = listen(&path, Owner::of_this_process()).unwrap();
        let error = listen(&path, Owner::of_this_process()).unwrap_err();
        assert!(matches!(error, SocketError::InUse { .. }), "{error}");
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_no_socket_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "precious").unwrap();
        let error = listen(&path, Owner::of_this_process()).unwrap_err();
        assert!(matches!(error, SocketError::NotASocket { .. }), "{error}");
        assert!(path.exists());
    }

    #[tokio::test]
    async fn the_file_is_the_servers_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("node.sock");
        let root = Owner::of_this_process().uid == 0;
        let server = if root { Owner { uid: 4242, gid: 4343 } } else { Owner::of_this_process() };
        let _listening = listen(&path, server).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (server.uid, server.gid, 0o600));
    }
}
