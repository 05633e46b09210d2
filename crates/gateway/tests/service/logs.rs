//! Logs: pages, and lines as they come.

use axum::body::Body;
use http::{Method, header};
use http_body_util::BodyExt as _;
use serde_json::json;
use tower::ServiceExt as _;

use crate::client::gateway;

#[tokio::test]
async fn a_log_pages_until_its_end() {
    let gateway = gateway().await;
    let first = gateway.get("/api/v1/logs?limit=3").await.json();
    let item = json!({"time": "2025-11-24T16:00:00.000Z", "kind": "audit", "sandbox_id": null, "execution_id": null,
        "stream": null, "message": "entry 1"});
    assert_eq!((&first["items"][0], &first["next"]), (&item, &json!("3")));
    let last = gateway.get("/api/v1/logs?limit=3&cursor=3").await.json();
    assert_eq!((last["items"].as_array().unwrap().len(), &last["next"]), (2, &json!(null)));
}

#[tokio::test]
async fn a_log_query_is_strict() {
    let gateway = gateway().await;
    for (query, word) in [
        ("kind=gossip", "kind: \"gossip\" does not exist; known are execution, audit, security, system"),
        ("since=yesterday", "since: "),
        ("follow=yes", "follow: "),
        ("cursor=x", "cursor: "),
        ("cursor=x&follow=true", "cursor: "),
        ("sandbox_id=x", "sandbox_id: "),
    ] {
        let detail = gateway.get(&format!("/api/v1/logs?{query}")).await.refused(400, "invalid_request");
        assert!(detail.starts_with(word), "{query}: {detail}");
    }
}

#[tokio::test]
async fn a_followed_log_goes_on_where_it_broke_off() {
    let gateway = gateway().await;
    let request = gateway.request(Method::GET, "/api/v1/logs").header(header::ACCEPT, "text/event-stream");
    let request = request.header("last-event-id", "3").body(Body::empty()).unwrap();
    let response = sentinal_gateway::router(gateway.app.clone()).oneshot(request).await.unwrap();
    let mut body = response.into_body();
    let mut text = String::new();
    while !text.contains("entry 5") {
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    assert!(text.starts_with("event: log\nid: 4\ndata: {"), "{text}");
}

#[tokio::test]
async fn events_are_pages_and_strict() {
    let gateway = gateway().await;
    let first = gateway.get("/api/v1/events?limit=3").await.json();
    let item = json!({"cursor": "1", "time": "2025-11-24T16:00:00.000Z", "type": "sandbox.created", "kind": "audit",
        "sandbox_id": null, "execution_id": null, "message": "event 1"});
    assert_eq!((&first["items"][0], &first["next"]), (&item, &json!("3")));
    let last = gateway.get("/api/v1/events?limit=3&cursor=3").await.json();
    assert_eq!((last["items"].as_array().unwrap().len(), &last["next"]), (2, &json!(null)));
    for (query, word) in
        [("cursor=x", "cursor: "), ("cursor=-1&follow=true", "cursor: "), ("since=1", "unknown field \"since\"")]
    {
        let detail = gateway.get(&format!("/api/v1/events?{query}")).await.refused(400, "invalid_request");
        assert!(detail.starts_with(word), "{query}: {detail}");
    }
}
