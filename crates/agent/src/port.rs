//! Connections to ports of the sandbox, for what listens there.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::Stream;
use sentinal_agent_protocol::{
    CHUNK_BYTES,
    v1::{ConnectRequest, ConnectResponse},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::timeout,
};
use tonic::{Status, Streaming};

use crate::{
    idle::{Idle, Use},
    limits,
};

/// How many connections there may be.
#[derive(Clone)]
pub(crate) struct Ports(Arc<Semaphore>);

impl Default for Ports {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(limits::CONNECTIONS_MAX)))
    }
}

/// A connection's bytes on their way to the server; the other way has a task of its own, which ends with this.
pub(crate) struct Connected {
    /// None: it has ended.
    reader: Option<OwnedReadHalf>,
    /// The first answer says that it stands.
    is_begun: bool,
    writing: JoinHandle<()>,
    _used: Use,
    _permit: OwnedSemaphorePermit,
}

/// Connects to the port that the first message names. The sandbox is in use as long as the connection stands.
pub(crate) async fn connect(
    ports: &Ports,
    idle: &Idle,
    mut messages: Streaming<ConnectRequest>,
) -> Result<Connected, Status> {
    let first = messages.message().await?.unwrap_or_default();
    let port = u16::try_from(first.port).ok().filter(|port| *port != 0);
    let port = port.ok_or_else(|| Status::invalid_argument("a port is a number between 1 and 65535"))?;
    let permit = Arc::clone(&ports.0).try_acquire_owned().map_err(|_| {
        let most = limits::CONNECTIONS_MAX;
        Status::resource_exhausted(format!(
            "{most} connections to ports of this sandbox are open, the most there may be; close some"
        ))
    })?;
    let stream = timeout(limits::CONNECT_DEADLINE, dial(port)).await;
    let stream = stream.map_err(|_| Status::unavailable(format!("port {port} of the sandbox does not accept")))??;
    let (reader, writer) = stream.into_split();
    let writing = tokio::spawn(write(writer, first, messages));
    Ok(Connected { reader: Some(reader), is_begun: false, writing, _used: idle.begin(), _permit: permit })
}

/// Programs listen on either kind of loopback address, or on all of both.
async fn dial(port: u16) -> Result<TcpStream, Status> {
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        if let Ok(stream) = TcpStream::connect((address, port)).await {
            // Only a delay, if it fails.
            let _ = stream.set_nodelay(true);
            return Ok(stream);
        }
    }
    Err(Status::failed_precondition(format!("nothing listens on port {port} of the sandbox")))
}

/// Until the end is said, or what listens is gone; whoever sends no more without an end is about to leave.
async fn write(mut writer: OwnedWriteHalf, first: ConnectRequest, mut messages: Streaming<ConnectRequest>) {
    let mut next = Some(first);
    while let Some(message) = next {
        if writer.write_all(&message.data).await.is_err() {
            return;
        }
        if message.end {
            let _ = writer.shutdown().await;
            return;
        }
        next = messages.message().await.ok().flatten();
    }
    std::future::pending::<()>().await;
}

impl Connected {
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ConnectResponse, Status>>> {
        let Some(reader) = &self.reader else { return Poll::Ready(None) };
        loop {
            if std::task::ready!(reader.as_ref().poll_read_ready(cx)).is_err() {
                break;
            }
            // Nothing is held for a connection that is silent.
            let mut data = Vec::with_capacity(CHUNK_BYTES);
            match reader.try_read_buf(&mut data) {
                Ok(0) => break,
                Ok(_) => return Poll::Ready(Some(Ok(ConnectResponse { data: data.into(), end: false }))),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.reader = None;
                    return Poll::Ready(Some(Err(Status::unavailable(format!("the connection broke: {error}")))));
                }
            }
        }
        self.reader = None;
        Poll::Ready(Some(Ok(ConnectResponse { data: Bytes::new(), end: true })))
    }
}

impl Stream for Connected {
    type Item = Result<ConnectResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.is_begun {
            self.is_begun = true;
            return Poll::Ready(Some(Ok(ConnectResponse::default())));
        }
        self.poll_read(cx)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if !self.writing.is_finished() {
            // Cut off in the middle: what listens must not take what it has for all there is.
            if let Some(reader) = &self.reader {
                let _ = reader.as_ref().set_zero_linger();
            }
            self.writing.abort();
        }
    }
}
