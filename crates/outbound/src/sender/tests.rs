//! Receivers of the test's own on loopback, which say what they are told to say.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;

const SECRET: [u8; 32] = [7; 32];

/// Answers one request with these bytes, and does not hang up before it is asked what it was sent.
async fn receiver(answer: &'static str) -> (SocketAddr, JoinHandle<(String, TcpStream)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let mut length = 0;
        while !request[..length].ends_with(b"{}") {
            length += stream.read(&mut request[length..]).await.unwrap();
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        (String::from_utf8_lossy(&request[..length]).into_owned(), stream)
    });
    (address, serving)
}

fn sender(named: &[String]) -> Sender {
    Sender::new(Gate::new("--webhook", named).unwrap()).unwrap()
}

async fn send(sender: &Sender, url: &str) -> Answer {
    let body = Bytes::from_static(b"{}");
    sender.send(Message { url, secret: &SECRET, id: "evt_1", at: Millis(1_764_000_000_999), body }).await
}

async fn answered(answer: &'static str) -> (Answer, String) {
    let (address, serving) = receiver(answer).await;
    let answer = send(&sender(&[format!("http://{address}")]), &format!("http://{address}/hooks?a=b")).await;
    (answer, serving.await.unwrap().0)
}

#[tokio::test]
async fn an_event_is_posted_with_its_signature() {
    let (answer, request) = answered("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert!(answer.is_taken() && answer.error.is_none(), "{answer:?}");
    assert!(request.starts_with("POST /hooks?a=b HTTP/1.1\r\n"), "{request}");
    let signature = sign(&SECRET, "evt_1", 1_764_000_000, b"{}");
    for line in [
        "content-type: application/json",
        "webhook-id: evt_1",
        "webhook-timestamp: 1764000000",
        &format!("webhook-signature: {signature}"),
    ] {
        assert!(request.lines().any(|sent| sent == line), "{line} is not in {request}");
    }
}

#[tokio::test]
async fn what_a_receiver_says_is_bounded_and_waited_for_briefly() {
    let (answer, _) = answered("HTTP/1.1 500 No\r\ncontent-length: 9000000\r\n\r\nfirst\x1b[2J").await;
    assert_eq!((answer.status, answer.said.as_str()), (Some(500), "first[2J"));
    assert!(!answer.is_taken() && answer.took < Duration::from_secs(2), "{answer:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (answer, _) = answered("HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(answer.status, Some(307));
    assert_eq!(answer.error.as_deref(), Some("it redirects, and redirects are not followed"));
}

#[tokio::test]
async fn how_long_a_receiver_wants_to_be_left_alone_is_read() {
    let (answer, _) = answered("HTTP/1.1 429 Later\r\nretry-after: 17\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(answer.retry_after, Some(Duration::from_secs(17)));
    // Seventeen minutes, less the part of a second that had gone by.
    let date = "HTTP/1.1 503 Later\r\nretry-after: Mon, 24 Nov 2025 16:17:00 GMT\r\ncontent-length: 0\r\n\r\n";
    let (answer, _) = answered(date).await;
    assert_eq!(answer.retry_after, Some(Duration::from_millis(17 * 60_000 - 999)));
    let (answer, _) = answered("HTTP/1.1 503 Later\r\nretry-after: soon\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(answer.retry_after, None);
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("https://localhost:{port}/");
    // Another port of the same name is another host.
    let sender = sender(&[format!("localhost:{}", port.wrapping_add(1))]);
    sender.check(&url).unwrap();
    let answer = send(&sender, &url).await;
    let why = "it has no public address, and the operator has not named it with --webhook HOST";
    assert_eq!((answer.status, answer.error.as_deref()), (None, Some(why)));
    assert!(timeout(Duration::from_millis(100), listener.accept()).await.is_err(), "somebody has connected");
}

#[tokio::test]
async fn what_the_operator_named_is_spoken_to_with_tls_unless_said_otherwise() {
    const CLIENT_HELLO: u8 = 22;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let first = tokio::spawn(async move { listener.accept().await.unwrap().0.read_u8().await.unwrap() });
    let answer = send(&sender(&[address.to_string()]), &format!("https://{address}/")).await;
    assert!(answer.status.is_none() && answer.error.is_some(), "{answer:?}");
    assert_eq!(first.await.unwrap(), CLIENT_HELLO);
}

#[test]
fn addresses_that_are_none_are_refused_before_anything_is_sent() {
    let sender = sender(&[]);
    for url in [
        "",
        "example.com",
        "ftp://example.com/",
        "https://",
        "https://ann:secret@example.com/",
        "https://example.com/#part",
        "http://example.com/",
        "https://127.0.0.1/",
        "https://[::1]:8443/",
        "https://169.254.169.254/latest",
        "https://2130706433/",
        &format!("https://example.com/{}", "a".repeat(3000)),
    ] {
        assert!(sender.check(url).is_err(), "{url}");
    }
    sender.check("https://example.com:8443/hooks?token=x").unwrap();
}
