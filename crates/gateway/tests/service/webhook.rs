//! Webhooks: a secret that is shown once, pages, and what is refused.

use axum::body::Body;
use http::{Method, header};
use serde_json::json;

use crate::client::{Gateway, gateway};

const BODY: &str = r#"{"url": "https://receiver.example.com/", "events": ["sandbox.created"]}"#;

async fn created(gateway: &Gateway) -> String {
    let created = gateway.post("/api/v1/webhook", BODY).await;
    assert_eq!(created.status, 201);
    created.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_secret_is_shown_once() {
    let gateway = gateway().await;
    let created = gateway.post("/api/v1/webhook", BODY).await;
    let webhook = created.json();
    assert_eq!(webhook["secret"], "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    let path = format!("/api/v1/webhook/{}", webhook["id"].as_str().unwrap());
    assert_eq!(created.headers[header::LOCATION], path.as_str());
    for path in ["/api/v1/webhook", path.as_str()] {
        let shown = gateway.get(path).await;
        assert!(shown.text().contains("receiver.example.com") && !shown.text().contains("secret"), "{}", shown.text());
    }
    let replayed = gateway.request(Method::POST, "/api/v1/webhook").header("idempotency-key", "k");
    let replayed = gateway.send(replayed.body(Body::from(BODY)).unwrap()).await;
    assert_eq!(replayed.headers["idempotent-replayed"], "true");
}

#[tokio::test]
async fn webhooks_and_their_deliveries_come_in_pages() {
    let gateway = gateway().await;
    let (first, second) = (created(&gateway).await, created(&gateway).await);
    let page = gateway.get("/api/v1/webhook?limit=1").await.json();
    assert_eq!((&page["items"][0]["id"], &page["next"]), (&json!(second), &json!(second)));
    let page = gateway.get(&format!("/api/v1/webhook?limit=1&cursor={second}")).await.json();
    assert_eq!((&page["items"][0]["id"], &page["next"]), (&json!(first), &json!(null)));

    let deliveries = format!("/api/v1/webhook/{first}/delivery");
    let page = gateway.get(&format!("{deliveries}?limit=2")).await.json();
    assert_eq!(page["next"], "2");
    let page = gateway.get(&format!("{deliveries}?cursor=2")).await.json();
    let delivery = json!({"cursor": "1", "time": "2025-11-24T16:00:00.000Z", "event_id": "evt_10",
        "event_type": "sandbox.created", "attempt": 1, "result": "failed", "status": null, "error": "refused",
        "duration_ms": 3.0, "next_attempt_at": "2025-11-24T16:00:00.000Z"});
    assert_eq!(page, json!({"items": [delivery], "next": null}));
}

#[tokio::test]
async fn a_webhook_is_changed_tested_and_removed() {
    let gateway = gateway().await;
    let path = format!("/api/v1/webhook/{}", created(&gateway).await);
    let change = gateway.request(Method::PATCH, &path).body(Body::from(r#"{"enabled": false}"#)).unwrap();
    assert_eq!(gateway.send(change).await.json()["enabled"], false);
    let tested = gateway.post(&format!("{path}/test"), "").await.json();
    let expected = json!({"delivered": false, "status": 503, "error": null, "answer": "busy", "duration_ms": 3.0});
    assert_eq!(tested, expected);
    assert_eq!(gateway.delete(&path).await.status, 204);
    gateway.get(&path).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let gateway = gateway().await;
    let path = format!("/api/v1/webhook/{}", created(&gateway).await);
    for body in ["{}", r#"{"url": "https://a.b/", "events": []}"#, r#"{"url": "https://a.b/", "secret": "mine"}"#] {
        gateway.post("/api/v1/webhook", body).await.refused(400, "invalid_request");
    }
    for body in ["{}", r#"{"secret": "mine"}"#, r#"{"events": ["sandbox.*"]}"#] {
        let change = gateway.request(Method::PATCH, &path).body(Body::from(body)).unwrap();
        gateway.send(change).await.refused(400, "invalid_request");
    }
    for path in ["/api/v1/webhook/sbx_1", "/api/v1/webhook/whk_0190f5c8e4b07c3e9f6a8d2b4c5e6f70"] {
        gateway.get(path).await.refused(404, "not_found");
    }
    gateway.get("/api/v1/webhook?cursor=x").await.refused(400, "invalid_request");
}
