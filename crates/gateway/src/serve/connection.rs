//! One connection: HTTP/1.1, or HTTP/2 with prior knowledge, whichever its first bytes say.

use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use sentinal_model::{Code, Error, limits};
use sentinal_telemetry::Limit;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::{
    Routed,
    wire::{Socket, Wire},
};
use crate::{
    App,
    answer::{problem_bytes, status_of},
};

/// What an HTTP/2 connection with prior knowledge begins with (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Room for what a client says first.
const FIRST_BYTES: usize = 4096;
/// Requests at once on one HTTP/2 connection.
const HTTP2_STREAMS_MAX: u32 = 128;
/// How often a silent HTTP/2 client is asked whether it is there.
const HTTP2_PING_EVERY: Duration = Duration::from_secs(30);
/// Bytes of an upload that an HTTP/2 client may be ahead.
const HTTP2_WINDOW_BYTES: u32 = 1 << 20;
/// What the parser takes of a head: more than the limit, so that the refusal can say what was wrong.
const HEAD_BYTES_PARSED_MAX: usize = 4 * limits::HEADER_BYTES_MAX;

/// What a connection needs.
pub(super) struct Connection {
    pub(super) router: Routed,
    pub(super) app: App,
    /// The grace time of a shutdown is over.
    pub(super) cut: CancellationToken,
}

/// What a connection's first bytes say.
enum Version {
    Http1,
    Http2,
}

impl Connection {
    /// Serves until the client leaves, or the server stops.
    pub(super) async fn run(&self, socket: impl Socket) {
        let mut wire = Wire::new(socket);
        let mut read = Vec::with_capacity(FIRST_BYTES);
        let version = tokio::select! {
            version = tokio::time::timeout(limits::HEADER_READ_TIMEOUT, version(&mut wire, &mut read)) => version,
            () = self.app.closing.cancelled() => return,
        };
        match version {
            Ok(Some(Version::Http1)) => self.http1(wire.again(read)).await,
            Ok(Some(Version::Http2)) => self.http2(wire.again(read)).await,
            Ok(None) => {}
            Err(_) => self.too_slow(&mut wire, &read).await,
        }
    }

    async fn http1(&self, wire: Wire<impl Socket>) {
        let service = TowerToHyperService::new(self.router.clone());
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HEADER_READ_TIMEOUT)
            .max_header_size(HEAD_BYTES_PARSED_MAX)
            .max_buf_size(HEAD_BYTES_PARSED_MAX)
            .serve_connection(TokioIo::new(wire), service)
            .with_upgrades();
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = self.app.closing.cancelled() => {
                std::pin::Pin::new(&mut connection).graceful_shutdown();
                tokio::select! {
                    ended = &mut connection => ended,
                    () = self.cut.cancelled() => return,
                }
            }
        };
        if ended.is_err_and(|error| error.is_timeout())
            && let Some(parts) = connection.into_parts()
        {
            self.too_slow(&mut parts.io.into_inner(), &parts.read_buf).await;
        }
    }

    async fn http2(&self, wire: Wire<impl Socket>) {
        let service = TowerToHyperService::new(self.router.clone());
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(HTTP2_PING_EVERY)
            .keep_alive_timeout(limits::HEADER_READ_TIMEOUT)
            .max_concurrent_streams(HTTP2_STREAMS_MAX)
            .initial_stream_window_size(HTTP2_WINDOW_BYTES)
            .initial_connection_window_size(2 * HTTP2_WINDOW_BYTES)
            .max_header_list_size(u32::try_from(HEAD_BYTES_PARSED_MAX).unwrap_or(u32::MAX))
            .serve_connection(TokioIo::new(wire), service);
        let mut connection = std::pin::pin!(connection);
        // How a client left is its own matter.
        let _ = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.app.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = self.cut.cancelled() => return,
                }
            }
        };
    }

    /// A client that began a request head and did not end it is told so; one that was silent is let go.
    async fn too_slow(&self, wire: &mut Wire<impl Socket>, begun: &[u8]) {
        if begun.is_empty() {
            return;
        }
        self.app.metrics.limit_reached(Limit::HeaderRead);
        let seconds = limits::HEADER_READ_TIMEOUT.as_secs();
        let error = Error::new(Code::RequestTimeout, format!("the request's head took longer than {seconds} seconds"));
        // It may be gone, and that is all right too.
        let _ = wire.write_all(&canned(&error)).await;
        let _ = wire.shutdown().await;
    }
}

/// Reads as much as it takes to tell the version; `None` if the client left.
async fn version(wire: &mut Wire<impl Socket>, read: &mut Vec<u8>) -> Option<Version> {
    loop {
        let seen = read.len().min(HTTP2_PREFACE.len());
        if read[..seen] != HTTP2_PREFACE[..seen] {
            return Some(Version::Http1);
        }
        if seen == HTTP2_PREFACE.len() {
            return Some(Version::Http2);
        }
        if wire.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

/// An HTTP/1.1 answer for a connection that no request can be taken from.
pub(super) fn canned(error: &Error) -> Vec<u8> {
    let request_id = format!("req_{}", uuid::Uuid::now_v7().simple());
    let body = problem_bytes(error, &request_id);
    let mut answer = format!(
        "HTTP/1.1 {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nx-request-id: {request_id}\r\n\
         x-content-type-options: nosniff\r\ncache-control: no-store\r\nretry-after: 5\r\nconnection: close\r\n\r\n",
        status_of(error.code()),
        body.len(),
    )
    .into_bytes();
    answer.extend(body);
    answer
}
