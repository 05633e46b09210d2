//! A small HTTP/1.1 client: one connection per request, and a deadline on every call.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Method, Response, body::Frame, body::Incoming, header::HeaderMap};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use crate::{EventStream, Problem};

const DEADLINE: Duration = Duration::from_mins(1);

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Whom to ask, and with which key. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    key: Option<String>,
}

/// A request that is being put together.
#[derive(Debug)]
pub struct Request {
    client: Client,
    method: Method,
    target: String,
    headers: Vec<(String, String)>,
    body: Body,
    deadline: Duration,
}

const CUT_OFF: &str = "the answer was cut off";

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Client {
    /// A client of the server at `address`.
    pub const fn new(address: SocketAddr, key: Option<String>) -> Self {
        Self { address, key }
    }

    /// The same client without a key.
    #[must_use]
    pub const fn without_key(&self) -> Self {
        Self::new(self.address, None)
    }

    /// A request with a path below the server's root.
    pub fn request(&self, method: Method, target: &str) -> Request {
        let body = empty();
        Request {
            client: self.clone(),
            method,
            target: target.to_owned(),
            headers: Vec::new(),
            body,
            deadline: DEADLINE,
        }
    }

    /// GET below `/api/v1`.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, &format!("/api/v1{path}"))
    }

    /// POST below `/api/v1`.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, &format!("/api/v1{path}"))
    }

    /// PATCH below `/api/v1`.
    pub fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, &format!("/api/v1{path}"))
    }

    /// DELETE below `/api/v1`.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, &format!("/api/v1{path}"))
    }

    /// One of the counts among the server's figures; zero if it has never been recorded. `series` is its name and labels as they are
    /// shown.
    pub async fn metric(&self, series: &str) -> Result<u64> {
        let shown = self.request(Method::GET, "/metrics").send().await?.expect(200)?;
        let value =
            std::str::from_utf8(&shown.body)?.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(Ok(0), |value| value.parse().with_context(|| format!("{series}: {value:?} is no count")))
    }

    /// The address of a path below the server's root.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A bare connection, for what no HTTP client would send.
    pub async fn connect(&self) -> Result<TcpStream> {
        let connecting = timeout(Duration::from_secs(5), TcpStream::connect(self.address)).await;
        connecting.context("connect within 5 s")?.context("connect")
    }

    /// The header that a bare connection has to send.
    pub fn authorization(&self) -> String {
        self.key.as_ref().map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"))
    }
}

impl Request {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.bytes("application/json", body.to_string())
    }

    /// A body of any type.
    #[must_use]
    pub fn bytes(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
        self.header("content-type", content_type)
    }

    /// A body that comes in pieces, of unknown length; an error cuts it off.
    #[must_use]
    pub fn stream<S>(mut self, content_type: &str, pieces: S) -> Self
    where
        S: futures::Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let frames = futures::StreamExt::map(pieces, |piece| piece.map(Frame::data));
        self.body = StreamBody::new(frames).boxed_unsync();
        self.header("content-type", content_type)
    }

    /// Another deadline than a minute.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The whole answer.
    pub async fn send(self) -> Result<Answer> {
        let (deadline, what) =
            (self.deadline, format!("{} {}", self.method, self.target.chars().take(200).collect::<String>()));
        let whole = async {
            let (parts, body) = self.start().await?.into_parts();
            let body = body.collect().await.context(CUT_OFF)?.to_bytes();
            anyhow::Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        timeout(deadline, whole)
            .await
            .with_context(|| format!("{what}: no answer within {} s", deadline.as_secs()))?
            .with_context(|| what)
    }

    /// The whole answer; `None` if it began and was cut off.
    pub async fn send_unless_cut_off(self) -> Result<Option<Answer>> {
        match self.send().await {
            Err(error) if error.chain().any(|cause| cause.to_string() == CUT_OFF) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Appends the answer's body as it comes; what had come before it was cut off stays.
    pub async fn read_into(self, bytes: &mut Vec<u8>) -> Result<()> {
        let append = |data: &[u8]| {
            bytes.extend_from_slice(data);
            Ok(())
        };
        self.read_each(append).await
    }

    /// Hands over the answer's body as it comes, and never holds more of it than that.
    pub async fn read_each(self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let deadline = self.deadline;
        let answer = timeout(deadline, self.start()).await.context("no answer in time")??;
        let status = answer.status();
        let mut body = answer.into_body();
        if status != 200 {
            let said = body.collect().await.context(CUT_OFF)?.to_bytes();
            anyhow::bail!("{status}: {}", String::from_utf8_lossy(&said));
        }
        while let Some(frame) = timeout(deadline, body.frame()).await.context("no bytes in time")? {
            if let Ok(data) = frame.context(CUT_OFF)?.into_data() {
                take(&data)?;
            }
        }
        Ok(())
    }

    /// The answer's events, each with a deadline of its own; any other answer than those is an error.
    pub async fn events(self) -> Result<EventStream> {
        let opened = self.open_events().await?;
        opened.map_err(|answer| anyhow!("no events but {}: {}", answer.status, answer.text()))
    }

    /// The answer's events, or the answer that came instead.
    pub async fn open_events(self) -> Result<std::result::Result<EventStream, Answer>> {
        let deadline = self.deadline;
        let opening = self.header("accept", "text/event-stream").start();
        let (parts, body) = timeout(deadline, opening).await.context("no events in time")??.into_parts();
        if parts.status == 200 {
            return Ok(Ok(EventStream::new(body, deadline)));
        }
        let body = body.collect().await.context(CUT_OFF)?.to_bytes();
        Ok(Err(Answer { status: parts.status.as_u16(), headers: parts.headers, body }))
    }

    async fn start(self) -> Result<Response<Incoming>> {
        let stream = self.client.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = hyper::Request::builder().method(self.method).uri(self.target);
        if self.headers.iter().all(|(name, _)| name != "host") {
            request = request.header("host", self.client.address.to_string());
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(key) = &self.client.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        sender.send_request(request.body(self.body).context("a request of this shape")?).await.context("no answer")
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).with_context(|| format!("{} is not what was expected", self.text()))
    }

    /// The body as text, cut for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(1000).collect()
    }

    /// The answer, if it has this status.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "{} instead of {status}: {}", self.status, self.text());
        Ok(self)
    }

    /// The problem of a refusal with this status and code, well-formed.
    pub fn refused(&self, status: u16, code: &str) -> Result<Problem> {
        ensure!(self.status == status, "{} instead of {status} {code}: {}", self.status, self.text());
        let kind = self.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        ensure!(kind.starts_with("application/problem+json"), "a problem of type {kind:?}: {}", self.text());
        let problem: Problem = self.json()?;
        ensure!(problem.code == code && problem.status == status, "{problem:?} instead of {status} {code}");
        ensure!(!problem.request_id.is_empty() && !problem.title.is_empty(), "{problem:?} lacks a title or request id");
        Ok(problem)
    }
}

fn empty() -> Body {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync()
}
