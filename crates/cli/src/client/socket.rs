//! A WebSocket as a client has it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use reqwest::{RequestBuilder, Response, Upgraded};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

/// The server pings more often than this; one that is silent for so long is dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// More than a server sends at once.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct Socket {
    sender: Sender,
    receiver: Receiver,
}

/// The half that sends.
#[derive(Debug)]
pub(crate) struct Sender(SplitSink<WebSocketStream<Upgraded>, Message>);

/// The half that receives.
#[derive(Debug)]
pub(crate) struct Receiver(SplitStream<WebSocketStream<Upgraded>>);

/// What has come.
#[derive(Debug)]
pub(crate) enum Received {
    Bytes(Bytes),
    Text(String),
}

impl Socket {
    pub(super) async fn new(upgraded: Upgraded) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let (sender, receiver) = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await.split();
        Self { sender: Sender(sender), receiver: Receiver(receiver) }
    }

    /// Both halves.
    pub(crate) fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }
}

impl Sender {
    pub(crate) async fn bytes(&mut self, bytes: Bytes) -> Result<()> {
        self.0.send(Message::Binary(bytes)).await.context("the connection to the server broke")
    }

    pub(crate) async fn text(&mut self, text: String) -> Result<()> {
        self.0.send(Message::Text(text.into())).await.context("the connection to the server broke")
    }
}

impl Receiver {
    /// The next message; `None` when the other side has closed it.
    pub(crate) async fn next(&mut self) -> Result<Option<Received>> {
        loop {
            let message =
                tokio::time::timeout(SILENCE_MAX, self.0.next()).await.context("the server has gone silent")?;
            match message.transpose().context("the connection to the server broke")? {
                Some(Message::Binary(bytes)) => return Ok(Some(Received::Bytes(bytes))),
                Some(Message::Text(text)) => return Ok(Some(Received::Text(text.to_string()))),
                Some(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Some(Message::Close(_)) | None => return Ok(None),
            }
        }
    }
}

/// The request as one for a WebSocket (RFC 6455, section 4.1).
pub(super) fn asked(request: RequestBuilder, key: &str) -> RequestBuilder {
    let request = request.header("connection", "Upgrade").header("upgrade", "websocket");
    request.header("sec-websocket-version", "13").header("sec-websocket-key", key)
}

/// Whether whoever answered has understood what was asked.
pub(super) fn is_accepted(response: &Response, key: &str) -> bool {
    let accepted = response.headers().get("sec-websocket-accept");
    accepted.is_some_and(|accepted| accepted.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes())
}
