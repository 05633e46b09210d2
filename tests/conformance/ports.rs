//! What listens inside, as the outside reaches it.

use std::time::Duration;

use anyhow::{Result, ensure};
use http::Method;
use sentinal_tests::{Fact, Ground, Guest, NewExecution, Said, eventually};
use serde_json::json;

use crate::table::{Row, light};

const DEADLINE: Duration = Duration::from_secs(30);

/// Answers what it was asked, and gives back what it was sent; a word makes it speak another protocol.
const SERVER: &str = r#"
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.headers.get("Upgrade"):
            self.send_response(101)
            self.send_header("Upgrade", self.headers["Upgrade"])
            self.send_header("Connection", "upgrade")
            self.end_headers()
            self.wfile.write(b"echo:" + self.rfile.read(4))
            self.close_connection = True
            return
        self.answer((self.path + "\n" + str(self.headers)).encode())
    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))
    def answer(self, body):
        self.send_response(200)
        self.send_header("Set-Cookie", "a=b")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("ADDRESS", 8000), Handler).serve_forever()
"#;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(a_web_server_inside_is_a_part_of_the_api),
        light(what_it_is_sent_comes_back_whole),
        light(it_may_listen_on_either_loopback_address),
        light(a_tunnel_is_one_connection),
        light(a_port_where_nobody_listens_is_unavailable),
        light(what_is_silent_there_ends_with_its_sandbox),
    ]
}

async fn serving(guest: &Guest, address: &str) -> Result<()> {
    let new = NewExecution::code("python", &SERVER.replace("ADDRESS", address)).with("timeout", 300).within(guest.id());
    guest.client().execute_in_background(new).await?;
    let answers = || async { guest.client().get(&port(guest, "/")).send().await?.expect(200).map(drop) };
    eventually("a web server inside", DEADLINE, answers).await
}

fn port(guest: &Guest, path: &str) -> String {
    format!("/sandbox/{}/port/8000{path}", guest.id())
}

async fn a_web_server_inside_is_a_part_of_the_api(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    serving(&guest, "0.0.0.0").await?;
    let answer = guest.client().get(&port(&guest, "/a%2Fb/c?d=e%20f")).send().await?.expect(200)?;
    let seen = answer.text();
    ensure!(seen.starts_with("/a%2Fb/c?d=e%20f\n"), "{seen}");
    ensure!(!seen.to_lowercase().contains("authorization"), "the port saw the key: {seen}");
    ensure!(answer.headers.get("set-cookie").is_none(), "a cookie for the API's origin");
    let policy = answer.headers.get("content-security-policy").map(|value| value.to_str()).transpose()?;
    ensure!(policy.is_some_and(|policy| policy.starts_with("sandbox ")), "{policy:?}");
    // By its host name it is an origin of its own.
    let host = format!("8000-{}.localhost", guest.id());
    let by_host = |method, path| guest.client().request(method, path).header("host", &host);
    let answer = by_host(Method::GET, "/api/v1/sandbox").send().await?.expect(200)?;
    ensure!(answer.text().starts_with("/api/v1/sandbox\n"), "the API by that name: {}", answer.text());
    ensure!(answer.headers.get("set-cookie").is_some(), "its cookies are its own");
    guest.gone().await
}

async fn what_it_is_sent_comes_back_whole(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    serving(&guest, "0.0.0.0").await?;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect();
    let echo = guest.client().post(&port(&guest, "/echo")).bytes("application/octet-stream", sent.clone());
    ensure!(echo.send().await?.expect(200)?.body == sent, "other bytes came back");
    guest.gone().await
}

async fn it_may_listen_on_either_loopback_address(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    serving(&guest, "127.0.0.1").await?;
    guest.gone().await
}

async fn a_tunnel_is_one_connection(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    serving(&guest, "0.0.0.0").await?;
    let mut socket = guest.client().socket(&format!("/sandbox/{}/tunnel/8000", guest.id())).await?;
    socket.send("GET /by-hand HTTP/1.1\r\n\r\n").await?;
    socket.until("/by-hand\n").await?;
    socket.send("GET /upgrade HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").await?;
    socket.until("101 Switching Protocols").await?;
    socket.send("word").await?;
    socket.until("echo:word").await?;
    ensure!(matches!(socket.next().await?, Said::Closed(1000)), "not closed with the connection");
    guest.gone().await
}

async fn a_port_where_nobody_listens_is_unavailable(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let refused = guest.client().get(&port(&guest, "/")).send().await?.refused(503, "unavailable")?;
    ensure!(refused.detail == "nothing listens on port 8000 of the sandbox", "{refused:?}");
    guest.gone().await
}

async fn what_is_silent_there_ends_with_its_sandbox(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    serving(&guest, "0.0.0.0").await?;
    let mut socket = guest.client().socket(&format!("/sandbox/{}/tunnel/8000", guest.id())).await?;
    guest.client().destroy(guest.id()).await?.expect(200)?;
    ensure!(matches!(socket.next().await?, Said::Closed(_)), "still open");
    guest.clean().await
}
