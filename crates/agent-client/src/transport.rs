//! What agents dial: Unix sockets. A simulation puts something of its own in their place.

use std::{fmt, io, path::Path};

use async_trait::async_trait;
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
            Ok(()) | Err(_) => Ok(Box::new(UnixListener::bind(socket)?)),
        }
    }
}

#[async_trait]
impl Listener for UnixListener {
    async fn accept(&mut self) -> io::Result<Box<dyn Stream>> {
        let (stream, _) = Self::accept(self).await?;
        Ok(Box::new(stream))
    }
}
