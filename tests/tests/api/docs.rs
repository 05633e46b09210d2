//! The API's documentation as a page.

use anyhow::{Context as _, ensure};
use hyper::Method;
use sentinal_tests::{Fact, shared};

#[tokio::test]
async fn the_page_needs_no_key_and_nothing_from_anywhere() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let page = server.client_with(None).request(Method::GET, "/docs").send().await?.expect(200)?;
    let header = |name: &str| page.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ensure!(header("content-type") == "text/html; charset=utf-8", "{:?}", page.headers);
    let policy = header("content-security-policy");
    ensure!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    ensure!(header("x-content-type-options") == "nosniff", "{:?}", page.headers);
    let text = std::str::from_utf8(&page.body)?;
    for loaded in ["<script", "<link", "<img", "<iframe", "src=", "@import", "url("] {
        ensure!(!text.contains(loaded), "the page has {loaded}");
    }
    for told in ["POST", "/api/v1/execute", "createKey", "Idempotency-Key", "SENTINAL_API_KEY", "quota"] {
        ensure!(text.contains(told), "the page says nothing of {told}");
    }
    let bytes = page.body.len();
    ensure!(bytes < 1 << 20, "{bytes} bytes are too many for one page");
    text.find("<style>").context("a style").map(drop)
}
