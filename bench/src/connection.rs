//! One keep-alive connection to the server, as any client has it.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, client::conn::http1::SendRequest};
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
        // The server closes what is idle for a while.
        if self.sender.is_closed() {
            self.sender = connect(self.address).await?;
        }
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
            .body(Full::new(body.into()))?;
        let answer = timeout(DEADLINE, self.answer(request)).await.context("no answer in time");
        answer.flatten().with_context(|| format!("{method} {path}"))
    }

    /// Reads from a path.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Bytes> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    async fn answer(&mut self, request: Request<Full<Bytes>>) -> Result<Bytes> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = timeout(DEADLINE, TcpStream::connect(address)).await.context("no connection in time")??;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
