//! On a real socket: slow heads, silence, large heads, deaf clients, both versions of HTTP, and the end.

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sentinal_model::limits;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::client::{Gateway, gateway};

/// A gateway that listens.
struct Server {
    gateway: Gateway,
    address: std::net::SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

async fn server() -> Server {
    let gateway = gateway().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(sentinal_gateway::serve(listener, gateway.app.clone(), stop.clone()));
    Server { gateway, address, stop, running }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection on which this execute was sent.
    async fn execute(&self, line: &str, accept: &str) -> TcpStream {
        let mut client = self.connect().await;
        let body = format!("{{\"command\":\"{line}\",\"args\":[]}}");
        let head = format!(
            "POST /api/v1/execute HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\naccept: {accept}\r\n\
             content-length: {}\r\n\r\n{body}",
            self.gateway.key,
            body.len()
        );
        client.write_all(head.as_bytes()).await.unwrap();
        client
    }
}

/// Everything until the server closes the connection.
async fn rest(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = client.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_told_so_in_time() {
    for begin in ["G", "GET /livez HTTP/1.1\r\nhost: x\r\n", "GET /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /li"] {
        let server = server().await;
        let mut client = server.connect().await;
        let started = Instant::now();
        client.write_all(begin.as_bytes()).await.unwrap();
        let answer = rest(&mut client).await;
        let last = answer.rsplit("HTTP/1.1 ").next().unwrap();
        assert!(last.starts_with("408 Request Timeout") && last.contains("request_timeout"), "{begin:?}: {answer}");
        assert!(started.elapsed() < 3 * limits::HEADER_READ_TIMEOUT, "{begin:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_without_a_word() {
    let server = server().await;
    let mut client = server.connect().await;
    assert_eq!(rest(&mut client).await, "");
    let mut used = server.connect().await;
    used.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let answer = rest(&mut used).await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_the_server_goes_on() {
    let server = server().await;
    for (bytes, status) in [(40_000, "413"), (300_000, "431")] {
        let mut client = server.connect().await;
        let head =
            format!("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-large: {}\r\n\r\n", "x".repeat(bytes));
        // It may be closed before it has taken all.
        let _ = client.write_all(head.as_bytes()).await;
        let answer = rest(&mut client).await;
        assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    let mut client = server.connect().await;
    client.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_is_refused_while_it_sends_reads_the_refusal() {
    let server = server().await;
    for _ in 0..5 {
        let mut client = server.connect().await;
        let head = format!("POST /api/v1/execute HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 8 << 20);
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(&vec![b'x'; 8 << 20]).await.unwrap();
        let mut first = [0; 12];
        client.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 401");
    }
}

#[tokio::test]
async fn http_2_is_spoken_with_those_who_begin_with_it() {
    let server = server().await;
    let io = TokioIo::new(server.connect().await);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://x/livez").body(Full::<bytes::Bytes>::default()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (http::StatusCode::OK, http::Version::HTTP_2));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "{\"status\":\"alive\"}");
    connection.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_dropped_and_holds_nothing() {
    let server = server().await;
    let client = server.execute("flood", "text/event-stream").await;
    let started = Instant::now();
    while server.gateway.fake.state().followers == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while server.gateway.fake.state().followers != 0 {
        assert!(started.elapsed() < 2 * limits::RESPONSE_STALL_TIMEOUT, "it is still followed");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(limits::RESPONSE_STALL_TIMEOUT <= started.elapsed());
    assert_eq!(server.gateway.fake.state().executions.len(), 1, "the execution is not touched");
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_of_events_is_kept_alive() {
    let server = server().await;
    let mut client = server.execute("hang", "text/event-stream").await;
    let mut seen = String::new();
    while seen.matches(": keep-alive\n\n").count() < 3 {
        let mut piece = [0; 4096];
        let bytes = client.read(&mut piece).await.unwrap();
        assert!(bytes != 0, "{seen}");
        seen.push_str(std::str::from_utf8(&piece[..bytes]).unwrap());
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_followed_no_longer() {
    let server = server().await;
    let mut client = server.execute("hang", "text/event-stream").await;
    client.read_u8().await.unwrap();
    assert_eq!(server.gateway.fake.state().followers, 1);
    drop(client);
    while server.gateway.fake.state().followers != 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_server_that_stops_ends_what_is_in_flight_and_sends_followers_away() {
    let server = server().await;
    let mut follower = server.execute("hang", "text/event-stream").await;
    let mut waiting = server.execute("nap", "application/json").await;
    let mut idle = server.connect().await;
    follower.read_u8().await.unwrap();
    while server.gateway.fake.state().executions.len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.stop.cancel();
    assert!(rest(&mut follower).await.contains(": the server is stopping; connect again\n\n"));
    let answer = rest(&mut waiting).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"exited\""), "{answer}");
    assert_eq!(rest(&mut idle).await, "");
    tokio::time::timeout(Duration::from_secs(5), server.running).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_waits_no_longer_than_its_grace_time() {
    let server = server().await;
    let mut waiting = server.execute("hang", "application/json").await;
    while server.gateway.fake.state().executions.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let stopped = Instant::now();
    server.stop.cancel();
    server.running.await.unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(12), "{:?}", stopped.elapsed());
    assert_eq!(rest(&mut waiting).await, "");
}
