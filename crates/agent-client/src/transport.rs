//! What agents dial: Unix sockets. A simulation puts something of its own in their place.

use std::{
    fmt, io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, open},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{UnixListener, UnixStream},
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
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Something that knows whether the other end is still there, also before the stream has been read to its end.
    fn peer(&self) -> io::Result<Box<dyn Peer>>;
}

/// The other end of a stream.
pub trait Peer: Send + Sync + fmt::Debug {
    /// Whether it has closed the stream or died, as of now.
    fn is_gone(&self) -> bool;
}

impl Stream for UnixStream {
    fn peer(&self) -> io::Result<Box<dyn Peer>> {
        Ok(Box::new(self.as_fd().try_clone_to_owned()?))
    }
}

impl Peer for OwnedFd {
    fn is_gone(&self) -> bool {
        let mut asked = [PollFd::new(self, PollFlags::RDHUP)];
        let answered = poll(&mut asked, Some(&Timespec::default()));
        answered.is_ok_and(|count| 0 < count)
    }
}

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

    #[test]
    fn a_peer_is_gone_at_once_also_while_nobody_reads() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer: Box<dyn Peer> = Box::new(OwnedFd::from(ours));
        std::io::Write::write_all(&mut &theirs, b"unread").unwrap();
        assert!(!peer.is_gone());
        drop(theirs);
        assert!(peer.is_gone());
    }
}
