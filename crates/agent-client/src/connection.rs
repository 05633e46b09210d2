//! One connection that an agent made: HTTP/2 with the server as client, under the generated gRPC client.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sentinal_agent_protocol::{FRAME_BYTES_MAX, MESSAGE_BYTES_MAX, v1::agent_client::AgentClient};
use tonic::body::Body;

use crate::transport::{Peer, Stream};

/// What one stream may have under way before we must have read it.
const STREAM_WINDOW_BYTES: u32 = 512 * 1024;

/// The same for a whole connection: more than all streams together, or a few that nobody reads would hold up every
/// other call. What a guest can make us hold is bounded by the streams, and those are ours to open.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 30;

/// Largest set of headers taken from an agent.
const HEADERS_BYTES_MAX: u32 = 16 * 1024;

/// How a call reaches the agent: no pool, no queue, no task in between.
#[derive(Debug, Clone)]
pub(crate) struct Transport(http2::SendRequest<Body>);

impl tower::Service<http::Request<Body>> for Transport {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Why a connection could not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("keep a descriptor of the connection")]
    Peer(#[from] io::Error),
    #[error("begin HTTP/2")]
    Http(#[from] hyper::Error),
}

/// A live connection to an agent. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connection {
    client: AgentClient<Transport>,
    number: u64,
    peer: Arc<dyn Peer>,
}

impl Connection {
    /// Begins HTTP/2 on a connection whose preamble was accepted. The returned future drives it and ends with it.
    pub(crate) async fn begin(
        stream: Box<dyn Stream>,
        number: u64,
    ) -> Result<(Self, impl Future<Output = ()> + Send), BeginError> {
        let peer = stream.peer()?.into();
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .max_header_list_size(HEADERS_BYTES_MAX)
            .max_concurrent_reset_streams(64)
            .handshake(TokioIo::new(stream))
            .await?;
        let origin = http::Uri::from_static("http://agent");
        let client = AgentClient::with_origin(Transport(sender), origin)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let drive = async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "agent connection ended");
            }
        };
        Ok((Self { client, number, peer }, drive))
    }

    /// The generated client; every call takes a clone.
    pub(crate) fn client(&self) -> AgentClient<Transport> {
        self.client.clone()
    }

    /// Whether the agent has closed it or died, as of now: known before this side has read that far.
    pub(crate) fn is_gone(&self) -> bool {
        self.peer.is_gone()
    }

    /// Counts this sandbox's connections.
    pub const fn number(&self) -> u64 {
        self.number
    }
}
