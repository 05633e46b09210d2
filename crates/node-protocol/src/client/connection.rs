//! One connection to a node: HTTP/2 over its Unix socket, with `Hello` said.

use std::{
    fmt, io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{TryFutureExt as _, future::BoxFuture};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use sentinal_model::{NodeId, Result};
use tokio::{
    net::UnixStream,
    time::{Instant, sleep, timeout_at},
};
use tonic::{body::Body, codegen::http};

use super::failure;
use crate::{HostBootId, MESSAGE_BYTES_MAX, VERSION_MAX, VERSION_MIN, v1};

/// The generated client on our transport.
pub(super) type Stub = v1::node_client::NodeClient<Http2>;

/// First wait between two attempts to connect; doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_millis(250);

/// How often an idle connection is asked whether the other side still lives, and how long it may think.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A connection that has said `Hello`.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    transport: Http2,
    identity: Arc<Identity>,
}

/// Who answered `Hello`.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) node: NodeId,
    pub(super) host_boot_id: HostBootId,
}

impl Connection {
    pub(super) fn stub(&self) -> Stub {
        stub(self.transport.clone())
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.identity, &other.identity)
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.transport.0.is_closed()
    }
}

/// Connects and says `Hello`; waits until `deadline` for a node that is not there yet.
pub(super) async fn open(socket: &Path, deadline: Instant) -> Result<Connection> {
    let stream = dial(socket, deadline).await.map_err(|error| failure::not_running(&error))?;
    let hello = async {
        let transport = handshake(stream).await?;
        let identity = Arc::new(hello(transport.clone()).await?);
        Ok(Connection { transport, identity })
    };
    let late = || Err(failure::no_hello("no answer to Hello in time"));
    timeout_at(deadline.max(Instant::now() + KEEP_ALIVE / 10), hello).await.unwrap_or_else(|_| late())
}

async fn dial(socket: &Path, deadline: Instant) -> io::Result<UnixStream> {
    let mut backoff = BACKOFF_MIN;
    loop {
        let error = match UnixStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let may_come = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        if !may_come || deadline <= Instant::now() + backoff {
            return Err(error);
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

async fn handshake(stream: UnixStream) -> Result<Http2> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| failure::no_hello(error.to_string()))?;
    // Ends with the connection: when the node closes it, or when the last sender is dropped.
    tokio::spawn(connection.inspect_err(|error| tracing::debug!(%error, "connection to the node ended")));
    Ok(Http2(sender))
}

async fn hello(transport: Http2) -> Result<Identity> {
    let versions = v1::HelloRequest { version_min: VERSION_MIN, version_max: VERSION_MAX };
    let refused = |status: tonic::Status| failure::no_hello(status.to_string());
    let answer = stub(transport).hello(versions).await.map_err(refused)?.into_inner();
    if answer.version < VERSION_MIN || VERSION_MAX < answer.version {
        return Err(failure::no_hello(format!("the node chose protocol version {}", answer.version)));
    }
    Ok(Identity { node: NodeId::from_stored(&answer.node_id), host_boot_id: HostBootId(answer.host_boot_id) })
}

fn stub(transport: Http2) -> Stub {
    let origin = http::Uri::from_static("http://node");
    Stub::with_origin(transport, origin)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// Sends requests into one connection and never into another.
#[derive(Clone)]
pub(super) struct Http2(http2::SendRequest<Body>);

impl tower::Service<http::Request<Body>> for Http2 {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, std::result::Result<Self::Response, hyper::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<std::result::Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Pin::from(Box::new(self.0.send_request(request)))
    }
}

impl fmt::Debug for Http2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2").field("closed", &self.0.is_closed()).finish()
    }
}
