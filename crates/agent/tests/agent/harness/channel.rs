//! gRPC over one connection that somebody else opened.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tonic::body::Body;

/// One gRPC request with any bytes as its message, whatever the answer.
pub(crate) async fn send_raw(channel: &mut Channel, path: &str, message: &[u8]) {
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let request = http::Request::post(format!("http://agent{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(http_body_util::Full::new(bytes::Bytes::from(body))))
        .unwrap();
    let answered = super::within(channel.sender.send_request(request)).await;
    // The answer is dropped unread, as by a server that changed its mind.
    drop(answered.unwrap());
}

#[derive(Clone)]
pub(crate) struct Channel {
    sender: http2::SendRequest<Body>,
    socket: Arc<std::os::unix::net::UnixStream>,
}

impl Channel {
    pub(crate) async fn open(stream: UnixStream) -> Self {
        let stream = stream.into_std().unwrap();
        let socket = Arc::new(stream.try_clone().unwrap());
        let stream = UnixStream::from_std(stream).unwrap();
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(1 << 28)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Self { sender, socket }
    }

    /// As when the server is killed.
    pub(crate) fn cut(&self) {
        self.socket.shutdown(std::net::Shutdown::Both).unwrap();
    }
}

impl tower::Service<http::Request<Body>> for Channel {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}
