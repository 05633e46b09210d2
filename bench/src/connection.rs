//! One keep-alive connection to the server, as any client has it.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Incoming, client::conn::http1::SendRequest, http::request::Builder};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

const DEADLINE: Duration = Duration::from_mins(1);

/// An open connection. One request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    authorization: String,
}

impl Connection {
    /// Opens one; requests carry `key`.
    pub(crate) async fn open(address: SocketAddr, key: &str) -> Result<Self> {
        Ok(Self { sender: connect(address).await?, address, authorization: format!("Bearer {key}") })
    }

    /// Sends a request and reads the whole answer. Any status but success is an error that quotes it.
    pub(crate) async fn send(&mut self, method: Method, path: &str, body: impl Into<Bytes>) -> Result<Bytes> {
        self.send_as("application/json", method, path, body).await
    }

    /// The same with a body of another kind.
    pub(crate) async fn send_as(
        &mut self,
        content_type: &str,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Bytes> {
        let sending = async {
            let answer = self.start(self.request(&method, path).header("content-type", content_type), body).await?;
            Ok(answer.collect().await?.to_bytes())
        };
        let answer = timeout(DEADLINE, sending).await.context("no answer in time");
        answer.flatten().with_context(|| format!("{method} {path}"))
    }

    /// Sends a request whose answer is events, and hands that over as it comes.
    pub(crate) async fn events(&mut self, path: &str, body: impl Into<Bytes>) -> Result<Incoming> {
        let request = self.request(&Method::POST, path).header("content-type", "application/json");
        let started = self.start(request.header("accept", "text/event-stream"), body);
        timeout(DEADLINE, started).await.context("no answer in time").flatten().with_context(|| path.to_owned())
    }

    /// The header that says who asks.
    pub(crate) fn authorization(&self) -> &str {
        &self.authorization
    }

    /// Where it leads to.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    fn request(&self, method: &Method, path: &str) -> Builder {
        let request = Request::builder().method(method).uri(path).header("host", self.address.to_string());
        request.header("authorization", &self.authorization)
    }

    /// Reads from a path.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Bytes> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Reads from a path and throws away what comes; answers how much it was.
    pub(crate) async fn drain(&mut self, path: &str) -> Result<usize> {
        let draining = async {
            let mut body = self.start(self.request(&Method::GET, path), Bytes::new()).await?;
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                bytes += frame?.data_ref().map_or(0, Bytes::len);
            }
            Ok(bytes)
        };
        timeout(DEADLINE, draining).await.context("no answer in time").flatten().with_context(|| path.to_owned())
    }

    /// The body of an answer that says that all is well.
    async fn start(&mut self, request: Builder, body: impl Into<Bytes>) -> Result<Incoming> {
        // The server closes what is idle for a while.
        if self.sender.is_closed() {
            self.sender = connect(self.address).await?;
        }
        self.sender.ready().await?;
        let answer = self.sender.send_request(request.body(Full::new(body.into()))?).await?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let (status, body) = (answer.status(), answer.into_body().collect().await?.to_bytes());
        bail!("{status}: {}", String::from_utf8_lossy(&body))
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = timeout(DEADLINE, TcpStream::connect(address)).await.context("no connection in time")??;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
