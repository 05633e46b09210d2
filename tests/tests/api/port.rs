//! Ports: who may talk to them, links for browsers, and what is refused.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use sentinal_tests::{Answer, Client, Fact, Guest, NewExecution, eventually, guest};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);

/// Answers with the headers that it was shown.
const SERVER: &str = "
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        body = (self.path + '\\n' + str(self.headers)).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(('', 8000), Handler).serve_forever()
";

async fn serving() -> Result<Option<Guest>> {
    let Some(guest) = guest(json!({})).await? else { return Ok(None) };
    let new = NewExecution::code("python", SERVER).with("timeout", 300).within(guest.id());
    guest.client().execute_in_background(new).await?;
    let path = format!("/sandbox/{}/port/8000/", guest.id());
    let answers = || async { guest.client().get(&path).send().await?.expect(200).map(drop) };
    eventually("a web server inside", DEADLINE, answers).await?;
    Ok(Some(guest))
}

/// As a browser asks: by host name, with these headers, without a key.
async fn visit(guest: &Guest, host: &str, target: &str, cookie: &str) -> Result<Answer> {
    let browser = guest.client().without_key();
    let request = browser.request(Method::GET, target).header("host", host).header("authorization", "Basic its-own");
    if cookie.is_empty() { request.send().await } else { request.header("cookie", cookie).send().await }
}

#[tokio::test]
async fn a_link_opens_one_port_to_a_browser() -> Fact {
    let Some(guest) = serving().await? else { return Ok(()) };
    let link = guest.client().post(&format!("/sandbox/{}/link", guest.id())).json(&json!({"port": 8000}));
    let link: Value = link.send().await?.expect(201)?.json()?;
    // An address has no names below it: the link is below localhost.
    let url = link["url"].as_str().context("an address")?.strip_prefix("http://").context("a web address")?;
    let (host, target) = url.split_once('/').context("a path")?;
    ensure!(host.starts_with(&format!("8000-{}.localhost:", guest.id())), "{link}");
    // The token becomes a cookie, and leaves the address.
    let first = visit(&guest, host, &format!("/{target}&page=1"), "").await?.expect(303)?;
    let header = |name: &str| first.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    ensure!(header("location").as_deref() == Some("/?page=1"), "{:?}", first.headers);
    let cookie = header("set-cookie").context("a cookie")?;
    ensure!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let page = visit(&guest, host, "/?page=1", &format!("own=1; {cookie}")).await?.expect(200)?.text();
    ensure!(page.starts_with("/?page=1\n") && page.contains("own=1") && page.contains("Basic its-own"), "{page}");
    ensure!(!page.contains("sentinal_link"), "the port saw the cookie: {page}");
    // It opens nothing else.
    let other = host.replace("8000-", "8001-");
    visit(&guest, &other, "/", &cookie).await?.refused(401, "unauthenticated")?;
    visit(&guest, host, "/", "sentinal_link=guessed").await?.refused(401, "unauthenticated")?;
    visit(&guest, host, "/", "").await?.refused(401, "unauthenticated")?;
    visit(&guest, "localhost", "/api/v1/sandbox", &cookie).await?.refused(401, "unauthenticated")?;
    let below = format!("/api/v1/sandbox/{}/port/8000/", guest.id());
    visit(&guest, "localhost", &below, &cookie).await?.refused(401, "unauthenticated")?;
    guest.gone().await
}

#[tokio::test]
async fn a_port_takes_a_key_and_a_number() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let client: &Client = guest.client();
    let path = |port: &str| format!("/sandbox/{}/port/{port}/", guest.id());
    client.without_key().get(&path("8000")).send().await?.refused(401, "unauthenticated")?;
    for port in ["0", "65536", "-1", "http"] {
        client.get(&path(port)).send().await?.refused(400, "invalid_request")?;
    }
    for body in [json!({}), json!({"port": 0}), json!({"port": 8000, "ttl": 0}), json!({"port": 8000, "x": 1})] {
        let link = client.post(&format!("/sandbox/{}/link", guest.id())).json(&body);
        link.send().await?.refused(400, "invalid_request")?;
    }
    let nobody = "/sandbox/sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70";
    client.get(&format!("{nobody}/port/8000/")).send().await?.refused(404, "not_found")?;
    client.post(&format!("{nobody}/link")).json(&json!({"port": 8000})).send().await?.refused(404, "not_found")?;
    let moved = client.get(&format!("/sandbox/{}/port/8000?a=b", guest.id())).send().await?.expect(308)?;
    let location = moved.headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
    ensure!(location == format!("/api/v1{}?a=b", path("8000")), "{location}");
    let twice = client.request(Method::GET, "/livez").header("host", "a").header("host", "b");
    twice.send().await?.refused(400, "invalid_request")?;
    guest.gone().await
}
