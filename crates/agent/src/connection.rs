//! Dials the server, again and again, and serves it over each connection.

use std::{
    convert::Infallible,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::future::BoxFuture;
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use sentinal_agent_protocol::{
    FRAME_BYTES_MAX, MESSAGE_BYTES_MAX,
    preamble::{Hello, VERSION_MAX, VERSION_MIN, WELCOME_BYTES, Welcome},
    v1::agent_server::AgentServer,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::{Instant, timeout},
};
use tower::Service as _;

use crate::{limits, link::Link, service::Service};

/// Never ends: whoever serves the sandbox may come back at any time.
pub(crate) async fn stay_connected(socket: PathBuf, hello: Hello, service: Service) {
    let server = AgentServer::new(service)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let mut pause = Pause::new();
    loop {
        if let Ok(stream) = dial(&socket, &hello).await {
            let since = Instant::now();
            serve(stream, server.clone()).await;
            if since.elapsed() >= limits::GOOD_CONNECTION {
                pause = Pause::new();
            }
        }
        tokio::time::sleep(pause.next()).await;
    }
}

/// Why there is no connection. The cause does not matter: the answer is to dial again.
struct NotConnected;

impl From<io::Error> for NotConnected {
    fn from(_: io::Error) -> Self {
        Self
    }
}

async fn dial(socket: &Path, hello: &Hello) -> Result<UnixStream, NotConnected> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(&hello.encode()).await?;
    let mut answer = [0; WELCOME_BYTES];
    timeout(limits::WELCOME_DEADLINE, stream.read_exact(&mut answer)).await.map_err(|_| NotConnected)??;
    match Welcome::decode(&answer) {
        Ok(Welcome::Accepted { version }) if (VERSION_MIN..=VERSION_MAX).contains(&version) => Ok(stream),
        _ => Err(NotConnected),
    }
}

/// Until the connection breaks, for whatever reason.
async fn serve(stream: UnixStream, server: AgentServer<Service>) {
    let connection = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits::STREAMS_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(limits::HEADERS_BYTES_MAX)
        .max_send_buf_size(limits::SEND_BUFFER_BYTES)
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .keep_alive_interval(limits::SILENCE)
        .keep_alive_timeout(limits::SILENCE)
        .serve_connection(TokioIo::new(Link(stream)), Adapter(server));
    // However it ended, there is nothing to do but to dial again.
    let _ = connection.await;
}

/// The generated service, as hyper wants it.
struct Adapter(AgentServer<Service>);

impl hyper::service::Service<http::Request<Incoming>> for Adapter {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        // A generated service is always ready.
        self.0.clone().call(request)
    }
}

/// How long to wait before the next attempt.
struct Pause(Duration);

impl Pause {
    fn new() -> Self {
        Self(limits::REDIAL_PAUSE_MIN)
    }

    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (2 * pause).min(limits::REDIAL_PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit() {
        let mut pause = Pause::new();
        let pauses: Vec<u128> = (0..10).map(|_| pause.next().as_millis()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 250, 250]);
    }
}
