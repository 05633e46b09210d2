//! WebSockets of the API.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::HeaderValue},
};

use crate::Client;

/// How long any message may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// One WebSocket.
#[derive(Debug)]
pub struct Socket {
    stream: Box<WebSocketStream<TcpStream>>,
}

/// How an attempt to open one ended.
#[derive(Debug)]
pub enum Opened {
    /// It is open.
    Socket(Socket),
    /// It was refused with this status and body.
    Refused(u16, Value),
}

/// What came.
#[derive(Debug)]
pub enum Said {
    /// Bytes.
    Bytes(Bytes),
    /// An object.
    Notice(Value),
    /// The end, with its code.
    Closed(u16),
}

impl Client {
    /// Opens a WebSocket below `/api/v1`, which must work.
    pub async fn socket(&self, path: &str) -> Result<Socket> {
        let key = self.authorization();
        let key = key.trim_end().strip_prefix("Authorization: ").map(|key| ("authorization", key.to_owned()));
        match self.open_socket(path, key.as_slice()).await? {
            Opened::Socket(socket) => Ok(socket),
            Opened::Refused(status, body) => bail!("{path}: {status} {body}"),
        }
    }

    /// Tries to open one below `/api/v1`, with these headers and no others.
    pub async fn open_socket(&self, path: &str, headers: &[(&'static str, String)]) -> Result<Opened> {
        let stream = self.connect().await?;
        let mut request = format!("ws://{}/api/v1{path}", stream.peer_addr()?).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value)?);
        }
        match timeout(DEADLINE, client_async(request, stream)).await.context("a handshake in time")? {
            Ok((stream, _)) => Ok(Opened::Socket(Socket { stream: Box::new(stream) })),
            Err(Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                let body = serde_json::from_slice(body).unwrap_or_default();
                Ok(Opened::Refused(answer.status().as_u16(), body))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Socket {
    /// Sends bytes.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<()> {
        Ok(timeout(DEADLINE, self.stream.send(Message::Binary(bytes.into()))).await??)
    }

    /// Sends an object.
    pub async fn say(&mut self, notice: &Value) -> Result<()> {
        Ok(timeout(DEADLINE, self.stream.send(Message::Text(notice.to_string().into()))).await??)
    }

    /// What comes next.
    pub async fn next(&mut self) -> Result<Said> {
        loop {
            let message = timeout(DEADLINE, self.stream.next()).await.context("a message in time")?;
            match message.context("the connection broke off")?? {
                Message::Binary(bytes) => return Ok(Said::Bytes(bytes)),
                Message::Text(text) => return Ok(Said::Notice(serde_json::from_str(&text)?)),
                Message::Close(frame) => return Ok(Said::Closed(frame.map_or(1005, |frame| frame.code.into()))),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// The next object; bytes before it are passed over.
    pub async fn notice(&mut self) -> Result<Value> {
        loop {
            match self.next().await? {
                Said::Notice(notice) => return Ok(notice),
                Said::Bytes(_) => {}
                Said::Closed(code) => bail!("closed with {code} before anything was said"),
            }
        }
    }

    /// Bytes up to and including `text`; objects are passed over.
    pub async fn until(&mut self, text: &str) -> Result<String> {
        let (mut seen, mut searched) = (Vec::new(), 0_usize);
        while !contains(&seen[searched.saturating_sub(text.len())..], text.as_bytes()) {
            searched = seen.len();
            match self.next().await? {
                Said::Bytes(bytes) => seen.extend_from_slice(&bytes),
                Said::Notice(_) => {}
                Said::Closed(code) => {
                    bail!("closed with {code} before {text:?}, after {:?}", String::from_utf8_lossy(&seen))
                }
            }
        }
        Ok(String::from_utf8_lossy(&seen).into_owned())
    }

    /// All bytes that are left, and the code of the end.
    pub async fn rest(&mut self) -> Result<(Vec<u8>, u16)> {
        let mut seen = Vec::new();
        loop {
            match self.next().await? {
                Said::Bytes(bytes) => seen.extend_from_slice(&bytes),
                Said::Notice(_) => {}
                Said::Closed(code) => return Ok((seen, code)),
            }
        }
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
