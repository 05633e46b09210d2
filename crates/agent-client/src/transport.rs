//! What agents dial: Unix sockets. A simulation puts something of its own in their place.

use std::{
    fmt, io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use rustix::fs::{Mode, OFlags, open};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixListener,
};

/// Makes places where agents can dial.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Listens at `socket`, in place of what an earlier server left behind there.
    fn listen(&self, socket: &Path) -> io::Result<Box<dyn Listener>>;
}

/// A place where an agent can dial. Ends when it is dropped.
#[async_trait]
pub trait Listener: Send + fmt::Debug {
    /// The next one that dials.
    async fn accept(&mut self) -> io::Result<Box<dyn Stream>>;
}

/// The bytes of one that dialled.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Sockets in the host's file system.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UnixSockets;

impl Transport for UnixSockets {
    fn listen(&self, socket: &Path) -> io::Result<Box<dyn Listener>> {
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(Box::new(bind(socket)?)),
        }
    }
}

/// By way of a descriptor of its folder: a socket's address has 108 bytes (`sun_path`), and a server's data may lie
/// deeper than that.
fn bind(socket: &Path) -> io::Result<UnixListener> {
    let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    UnixListener::bind(PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}

#[async_trait]
impl Listener for UnixListener {
    async fn accept(&mut self) -> io::Result<Box<dyn Stream>> {
        let (stream, _) = Self::accept(self).await?;
        Ok(Box::new(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_may_lie_deep_and_replaces_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("f".repeat(200));
        std::fs::create_dir(&deep).unwrap();
        let socket = deep.join("agent.sock");
        drop(UnixSockets.listen(&socket).unwrap());
        let mut listener = UnixSockets.listen(&socket).unwrap();
        let near = open(&deep, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let dialled = tokio::net::UnixStream::connect(format!("/proc/self/fd/{}/agent.sock", near.as_raw_fd()));
        let (dialled, accepted) = tokio::join!(dialled, listener.accept());
        dialled.unwrap();
        accepted.unwrap();
    }
}
