//! Bodies that are sent as they come into being.
//!
//! A task takes pieces from their source and hands them to the connection, a few at a time. A client that reads
//! none for [`limits::RESPONSE_STALL_TIMEOUT`] is dropped, and so is the source: what it follows goes on.

mod events;
mod pages;
mod text;

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use sentinal_model::{Error, Result, limits};
use sentinal_telemetry::Limit;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

pub(crate) use events::{Event, event_response};
pub(crate) use pages::pages;
pub(crate) use text::Carry;

use crate::App;

/// Pieces on their way to one client.
const PIECES_MAX: usize = 4;
/// How long a stream of events is silent at most.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a body is, for what happens while it is silent and when the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Has an end that comes soon: it is waited for.
    File,
    /// May go on for long: it is cut off, so that nobody takes it for complete.
    Follow,
    /// Events: they end with a comment that says why.
    Events,
}

/// A body of what comes from `source`. An error in it cuts the body off.
pub(crate) fn body(app: &App, kind: Kind, source: BoxStream<'static, Result<Bytes>>) -> Body {
    let (pieces, receiver) = mpsc::channel(PIECES_MAX);
    app.streams.spawn(Pump { app: app.clone(), kind, source, pieces }.run());
    Body::from_stream(ReceiverStream::new(receiver))
}

struct Pump {
    app: App,
    kind: Kind,
    source: BoxStream<'static, Result<Bytes>>,
    pieces: mpsc::Sender<Result<Bytes>>,
}

/// What happened while waiting for the next piece.
enum Next {
    Piece(Result<Bytes>),
    End,
    Silence,
    Closing,
    Gone,
}

impl Pump {
    async fn run(mut self) {
        loop {
            let piece = match self.next().await {
                Next::Piece(piece) => piece,
                Next::Silence => Ok(Bytes::from_static(b": keep-alive\n\n")),
                Next::Closing => return self.close().await,
                Next::End | Next::Gone => return,
            };
            let failed = piece.is_err();
            if !send(&self.app, &self.pieces, piece).await || failed {
                return;
            }
        }
    }

    async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            () = self.pieces.closed() => Next::Gone,
            () = self.app.closing.cancelled(), if self.kind != Kind::File => Next::Closing,
            piece = self.source.next() => piece.map_or(Next::End, Next::Piece),
            () = tokio::time::sleep(KEEP_ALIVE), if self.kind == Kind::Events => Next::Silence,
        }
    }

    async fn close(self) {
        let last = match self.kind {
            Kind::Events => Ok(Bytes::from_static(b": the server is stopping; connect again\n\n")),
            Kind::Follow | Kind::File => Err(Error::new(sentinal_model::Code::Unavailable, "the server is stopping")),
        };
        send(&self.app, &self.pieces, last).await;
    }
}

/// Whether the client took it.
async fn send(app: &App, pieces: &mpsc::Sender<Result<Bytes>>, piece: Result<Bytes>) -> bool {
    let sent = tokio::time::timeout(limits::RESPONSE_STALL_TIMEOUT, pieces.send(piece)).await;
    if sent.is_err() {
        app.metrics.limit_reached(Limit::ResponseStall);
    }
    matches!(sent, Ok(Ok(())))
}
