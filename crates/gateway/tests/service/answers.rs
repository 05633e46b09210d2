//! Sandboxes, health, figures: what comes back when all is well, and what all answers have in common.

use axum::body::Body;
use http::{Method, Request, header};
use sentinal_model::{Code, Error};
use serde_json::json;

use crate::client::gateway;

#[tokio::test]
async fn a_sandbox_is_created_read_listed_and_destroyed() {
    let gateway = gateway().await;
    let body = r#"{"engine":"gvisor","cpu":2,"memory":"2048Mi","idle_timeout":1.5,"labels":{"a":"b"}}"#;
    let created = gateway.post("/api/v1/sandbox", body).await;
    assert_eq!(created.status, 201);
    let sandbox = created.json();
    let path = format!("/api/v1/sandbox/{}", sandbox["id"].as_str().unwrap());
    assert_eq!(created.headers[header::LOCATION], path);
    let expected = json!({
        "id": sandbox["id"], "state": "running", "engine": "gvisor", "isolation": "userspace-kernel",
        "engine_reason": "the strongest", "cpu": 2, "memory": "2Gi", "disk": "1Gi", "image": "default",
        "labels": {"a": "b"}, "created_at": "2025-11-24T16:00:00.000Z", "expires_at": "2025-11-24T16:05:00.000Z",
        "idle_timeout": 1.5, "finished_at": null, "outcome": null, "message": null,
    });
    assert_eq!(sandbox, expected);
    assert_eq!(gateway.get(&path).await.json(), expected);
    assert_eq!(gateway.get("/api/v1/sandbox").await.json(), json!({"items": [expected], "next": null}));
    let destroyed = gateway.delete(&path).await.json();
    assert_eq!((&destroyed["state"], &destroyed["outcome"]), (&json!("stopped"), &json!("destroyed")));
}

#[tokio::test]
async fn a_list_pages_until_its_end() {
    let gateway = gateway().await;
    let mut ids: Vec<String> = (0..5).map(|_| gateway.fake.sandbox().to_string()).collect();
    ids.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for pages in 1.. {
        let page = gateway.get(&format!("/api/v1/sandbox?limit=2{cursor}")).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else {
            assert_eq!(pages, 3);
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn every_answer_has_an_id_and_is_kept_by_nobody() {
    let gateway = gateway().await;
    for path in ["/api/v1/sandbox", "/nothing", "/livez", "/openapi.json"] {
        let answer = gateway.get(path).await;
        assert!(answer.headers["x-request-id"].to_str().unwrap().starts_with("req_"), "{path}");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{path}");
    }
}

#[tokio::test]
async fn a_failure_of_ours_shows_nothing_but_the_request_id() {
    let gateway = gateway().await;
    let id = gateway.fake.sandbox();
    gateway.fake.state().failure = Some(Error::internal(&std::io::Error::other("/var/lib/secret: disk full")));
    let answer = gateway.get(&format!("/api/v1/sandbox/{id}")).await;
    let detail = answer.refused(500, "internal");
    assert!(!detail.contains("secret") && !detail.contains("disk"), "{detail}");
}

#[tokio::test]
async fn what_may_work_later_says_when_to_try() {
    let gateway = gateway().await;
    for (code, status) in
        [(Code::QuotaExceeded, 429), (Code::RateLimited, 429), (Code::NoCapacity, 503), (Code::Unavailable, 503)]
    {
        gateway.fake.state().failure = Some(Error::new(code, "not now"));
        let answer = gateway.post("/api/v1/sandbox", "{}").await;
        answer.refused(status, code.as_str());
        let seconds: u32 = answer.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!(0 < seconds, "{code}");
    }
}

#[tokio::test]
async fn health_follows_the_controller_and_needs_no_key() {
    let gateway = gateway().await;
    let open = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(gateway.send(open("/health")).await.json(), json!({"status": "healthy"}));
    assert_eq!(gateway.send(open("/readyz")).await.status, 200);
    assert_eq!(gateway.send(open("/openapi.json")).await.json()["openapi"], "3.1.0");
    gateway.fake.state().sick = true;
    let sick = gateway.send(open("/health")).await;
    assert_eq!(sick.status, 503);
    assert_eq!(sick.json(), json!({"status": "unhealthy", "reasons": ["node: it does not answer"]}));
    assert_eq!(gateway.send(open("/readyz")).await.status, 503);
    assert_eq!(gateway.send(open("/livez")).await.status, 200);
}

#[tokio::test]
async fn the_figures_need_a_key_and_count_requests_and_limits() {
    let gateway = gateway().await;
    gateway.send(Request::get("/metrics").body(Body::empty()).unwrap()).await.refused(401, "unauthenticated");
    gateway.post("/api/v1/sandbox", "x".repeat(2 << 20)).await.refused(413, "too_large");
    let request = gateway.request(Method::from_bytes(b"EVIL").unwrap(), "/none").body(Body::empty()).unwrap();
    gateway.send(request).await.refused(404, "not_found");
    let text = gateway.get("/metrics").await.text();
    for line in [
        "sentinal_gateway_request_seconds_count{route=\"/metrics\",method=\"GET\",status_class=\"4xx\"} 1",
        "sentinal_gateway_request_seconds_count{route=\"unknown\",method=\"other\",status_class=\"4xx\"} 1",
        "sentinal_gateway_limit_reached_total{limit=\"json_body\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn engines_are_listed_with_what_their_probes_found() {
    let gateway = gateway().await;
    let list = gateway.get("/api/v1/engine").await.json();
    let engines = list["items"].as_array().unwrap();
    let names: Vec<_> = engines.iter().map(|engine| engine["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["firecracker", "kata", "gvisor", "native"]);
    let gvisor = json!({"name": "gvisor", "isolation": "userspace-kernel", "allowed": true, "available": true,
        "version": "runsc 1", "reason": null});
    assert_eq!(engines[2], gvisor);
    let native = json!({"name": "native", "isolation": "shared-kernel", "allowed": false, "available": false,
        "version": null, "reason": "not here"});
    assert_eq!(engines[3], native);
}
