//! WebSockets: taken over from HTTP, asked whether their client is there, and closed with a reason.

use std::time::Duration;

use axum::{
    extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code},
    response::Response,
};
use bytes::Bytes;
use futures::{
    SinkExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{BoxStream, SplitSink, SplitStream},
};
use sentinal_model::{Code, Error, Result, limits};
use sentinal_telemetry::Limit;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{MissedTickBehavior, interval_at, timeout},
};

use crate::{
    App,
    request::{Holder, Upgrade},
};

/// The subprotocol of all WebSockets here, for clients that must name one.
pub(crate) const SUBPROTOCOL: &str = "sentinal.v1";
/// What its client sent and nobody has used yet.
const RECEIVED_MAX: usize = 16;
/// How long a client may take to say that it has seen the end.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// What a client sends.
#[derive(Debug)]
pub(crate) enum Received {
    Bytes(Bytes),
    Text(Utf8Bytes),
}

/// A WebSocket that its client has not been promised yet.
pub(crate) struct Room {
    upgrade: WebSocketUpgrade,
    app: App,
    permit: OwnedSemaphorePermit,
    /// With whose key it was asked for.
    holder: Holder,
}

impl Room {
    /// One of a bounded number.
    pub(crate) fn find(app: &App, Upgrade(upgrade, holder): Upgrade) -> Result<Self> {
        Ok(Self { upgrade, app: app.clone(), permit: permit(app)?, holder })
    }

    /// Promises it: sends what comes from `outgoing`, and gives what its client sends to the receiver that `serve`
    /// takes. It is closed when `outgoing` ends, when the client leaves, when its key ends, and when the server stops.
    pub(crate) fn open<F>(
        self,
        outgoing: BoxStream<'static, Message>,
        serve: impl FnOnce(mpsc::Receiver<Received>) -> F,
    ) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { upgrade, app, permit, holder } = self;
        let (incoming, received) = mpsc::channel(RECEIVED_MAX);
        let serving = serve(received);
        let token = app.streams.token();
        upgrade
            .protocols([SUBPROTOCOL])
            .max_message_size(limits::WEBSOCKET_MESSAGE_BYTES_MAX)
            .max_frame_size(limits::WEBSOCKET_MESSAGE_BYTES_MAX)
            .write_buffer_size(0)
            .max_write_buffer_size(2 * limits::WEBSOCKET_MESSAGE_BYTES_MAX)
            .on_upgrade(move |socket| async move {
                let (sink, stream) = socket.split();
                let ended = holder.ended(&app);
                // What a client sends whose key has ended is not taken, whether or not it reads why.
                let own = app.clone();
                let is_taken = move || holder.is_taken(&own);
                let talk = Talk { app, sink, outgoing, ended }.run(read(stream, incoming, is_taken));
                // What is served ends with what its client sends; the talk decides when that is.
                tokio::select! {
                    () = talk => {}
                    () = async { serving.await; std::future::pending().await } => {}
                }
                drop((permit, token));
            })
    }
}

/// Room for one connection that is no longer HTTP.
pub(crate) fn permit(app: &App) -> Result<OwnedSemaphorePermit> {
    std::sync::Arc::clone(&app.sockets).try_acquire_owned().map_err(|_| {
        app.metrics.limit_reached(Limit::WebSockets);
        let most = limits::WEBSOCKETS_MAX;
        let message = format!("{most} WebSockets are open on this server, the most there may be; close some");
        Error::new(Code::Unavailable, message)
    })
}

struct Talk {
    app: App,
    sink: SplitSink<WebSocket, Message>,
    outgoing: BoxStream<'static, Message>,
    ended: BoxFuture<'static, ()>,
}

impl Talk {
    /// Until the client is gone; then `reading` has ended.
    async fn run(self, reading: impl Future<Output = ()>) {
        let mut reading = std::pin::pin!(reading);
        let writing = self.write();
        tokio::select! {
            biased;
            () = &mut reading => return,
            () = writing => {}
        }
        let _ = timeout(CLOSE_DEADLINE, reading).await;
    }

    async fn write(mut self) {
        let mut ping =
            interval_at(tokio::time::Instant::now() + limits::WEBSOCKET_PING_EVERY, limits::WEBSOCKET_PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                biased;
                () = self.app.closing.cancelled() => {
                    return self.close(close_code::AWAY, "the server is stopping; connect again").await;
                }
                () = &mut self.ended => {
                    return self.close(close_code::POLICY, "the API key cannot be used any more").await;
                }
                message = self.outgoing.next() => match message {
                    Some(message) => message,
                    None => return self.close(close_code::NORMAL, "").await,
                },
                _ = ping.tick() => Message::Ping(Bytes::new()),
            };
            if !self.send(message).await {
                return;
            }
        }
    }

    async fn close(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        self.send(Message::Close(Some(frame))).await;
    }

    /// Whether the client took it.
    async fn send(&mut self, message: Message) -> bool {
        let sent = timeout(limits::RESPONSE_STALL_TIMEOUT, self.sink.send(message)).await;
        if sent.is_err() {
            self.app.metrics.limit_reached(Limit::ResponseStall);
        }
        matches!(sent, Ok(Ok(())))
    }
}

/// Until the client leaves, says nothing for too long, or breaks the protocol.
async fn read(mut stream: SplitStream<WebSocket>, incoming: mpsc::Sender<Received>, is_taken: impl Fn() -> bool) {
    while let Ok(Some(Ok(message))) = timeout(limits::WEBSOCKET_SILENCE_MAX, stream.next()).await {
        let received = match message {
            Message::Binary(bytes) => Received::Bytes(bytes),
            Message::Text(text) => Received::Text(text),
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => return,
        };
        if !is_taken() {
            continue;
        }
        // Nobody may want any more of it; what the client is sent goes on.
        let _ = incoming.send(received).await;
    }
}
