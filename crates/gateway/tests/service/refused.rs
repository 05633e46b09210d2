//! What is refused before the controller hears of it.

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{Method, Request, header};

use crate::client::gateway;

const ROUTES: [(Method, &str); 12] = [
    (Method::POST, "/api/v1/sandbox"),
    (Method::GET, "/api/v1/sandbox"),
    (Method::GET, "/api/v1/sandbox/sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70"),
    (Method::DELETE, "/api/v1/sandbox/sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70"),
    (Method::POST, "/api/v1/upload"),
    (Method::GET, "/api/v1/download"),
    (Method::POST, "/api/v1/execute"),
    (Method::GET, "/api/v1/execution"),
    (Method::GET, "/api/v1/execution/exe_0190f5c8e4b07c3e9f6a8d2b4c5e6f70"),
    (Method::GET, "/api/v1/execution/exe_0190f5c8e4b07c3e9f6a8d2b4c5e6f70/output"),
    (Method::GET, "/api/v1/logs"),
    (Method::GET, "/metrics"),
];

#[tokio::test]
async fn nobody_gets_in_without_a_key_that_is_known() {
    let gateway = gateway().await;
    let good = format!("Bearer {}", gateway.key);
    let wrong = format!("Bearer {}x", gateway.key);
    for (method, path) in ROUTES {
        for header in [None, Some("Bearer"), Some("Bearer "), Some("Basic YTpi"), Some(wrong.as_str())] {
            let mut request = Request::builder().method(method.clone()).uri(path);
            if let Some(value) = header {
                request = request.header(header::AUTHORIZATION, value);
            }
            let answer = gateway.send(request.body(Body::from("{}")).unwrap()).await;
            answer.refused(401, "unauthenticated");
            assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
        }
    }
    let twice =
        Request::get("/api/v1/sandbox").header(header::AUTHORIZATION, &good).header(header::AUTHORIZATION, &good);
    gateway.send(twice.body(Body::empty()).unwrap()).await.refused(401, "unauthenticated");
    let lower = Request::get("/api/v1/sandbox").header(header::AUTHORIZATION, good.replace("Bearer", "bearer"));
    assert_eq!(gateway.send(lower.body(Body::empty()).unwrap()).await.status, 200);
}

#[tokio::test]
async fn a_path_or_method_that_is_not_there_is_said() {
    let gateway = gateway().await;
    gateway.get("/api/v1/sandboxes").await.refused(404, "not_found");
    gateway.get("/").await.refused(404, "not_found");
    gateway.get("/api/v1/sandbox/").await.refused(404, "not_found");
    let answer = gateway.delete("/api/v1/sandbox").await;
    answer.refused(405, "method_not_allowed");
    let mut allowed: Vec<_> = answer.headers[header::ALLOW].to_str().unwrap().split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn an_id_that_cannot_exist_is_not_found_in_a_path_and_invalid_elsewhere() {
    let gateway = gateway().await;
    for id in ["1", "sbx_", "%00", "%ff", "..%2f..", "exe_0190f5c8e4b07c3e9f6a8d2b4c5e6f70"] {
        gateway.get(&format!("/api/v1/sandbox/{id}")).await.refused(404, "not_found");
        gateway.delete(&format!("/api/v1/sandbox/{id}")).await.refused(404, "not_found");
    }
    let detail = gateway.get("/api/v1/execution?sandbox_id=1").await.refused(400, "invalid_request");
    assert!(detail.starts_with("sandbox_id: "), "{detail}");
    let detail =
        gateway.post("/api/v1/execute", r#"{"sandbox_id":"1","command":"a"}"#).await.refused(400, "invalid_request");
    assert!(detail.starts_with("sandbox_id: "), "{detail}");
}

#[tokio::test]
async fn a_body_is_json_or_refused() {
    let gateway = gateway().await;
    let post = |kind: &'static str| gateway.request(Method::POST, "/api/v1/sandbox").header(header::CONTENT_TYPE, kind);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "", "\u{7f}"] {
        let Ok(request) = post(kind).body(Body::from("{}")) else { continue };
        gateway.send(request).await.refused(415, "unsupported_media_type");
    }
    for kind in ["application/json", "Application/JSON; charset=\"UTF-8\"", "application/vnd.x+json"] {
        assert_eq!(gateway.send(post(kind).body(Body::from("{}")).unwrap()).await.status, 201, "{kind}");
    }
    let packed = post("application/json").header(header::CONTENT_ENCODING, "gzip").body(Body::from("{}")).unwrap();
    gateway.send(packed).await.refused(415, "unsupported_media_type");
    let detail = gateway.post("/api/v1/sandbox", r#"{"memmory":"1Gi"}"#).await.refused(400, "invalid_request");
    assert!(detail.contains("did you mean \"memory\"?"), "{detail}");
    let deep = format!("{{\"cpu\":{}", "[".repeat(10_000));
    gateway.post("/api/v1/sandbox", deep).await.refused(400, "invalid_request");
    assert!(gateway.fake.state().sandboxes.len() == 3, "something was created all the same");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_its_length_is_known_or_not() {
    let gateway = gateway().await;
    let large = format!("{{\"command\":\"{}\"}}", "x".repeat(1 << 20));
    gateway.post("/api/v1/execute", large.clone()).await.refused(413, "too_large");
    let pieces: Vec<_> =
        large.as_bytes().chunks(10_000).map(|p| Ok::<_, std::io::Error>(Bytes::copy_from_slice(p))).collect();
    gateway.post("/api/v1/execute", Body::from_stream(stream::iter(pieces))).await.refused(413, "too_large");
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let gateway = gateway().await;
    let request = gateway.request(Method::GET, "/api/v1/sandbox").header("x-long", "x".repeat(33_000));
    gateway.send(request.body(Body::empty()).unwrap()).await.refused(413, "too_large");
    let long = format!("/api/v1/sandbox?cursor={}", "x".repeat(33_000));
    gateway.get(&long).await.refused(413, "too_large");
}

#[tokio::test]
async fn an_answer_that_the_caller_cannot_take_is_not_made() {
    let gateway = gateway().await;
    let request = gateway.request(Method::POST, "/api/v1/sandbox").header(header::ACCEPT, "text/html");
    gateway.send(request.body(Body::from("{}")).unwrap()).await.refused(406, "not_acceptable");
    assert!(gateway.fake.state().sandboxes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_makes_no_progress_is_given_up() {
    let gateway = gateway().await;
    let silent = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    gateway.post("/api/v1/execute", silent).await.refused(408, "request_timeout");
}

#[tokio::test]
async fn a_query_is_strict() {
    let gateway = gateway().await;
    for (query, word) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("cursor=x", "cursor"),
        ("page=1", "page"),
        ("limit=1&limit=1", "twice"),
        ("cursor=%zz", "cursor"),
    ] {
        let detail = gateway.get(&format!("/api/v1/sandbox?{query}")).await.refused(400, "invalid_request");
        assert!(detail.contains(word), "{query}: {detail}");
    }
}
