//! A caller without a socket: requests go straight into the router.

use std::sync::Arc;

use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use sentinal_auth::{ApiKey, Keys};
use sentinal_gateway::{App, router};
use sentinal_model::{Millis, Role, SystemClock, TenantId};
use sentinal_store::{MemoryStore, Store as _, Write};
use sentinal_telemetry::Metrics;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::fake::Fake;

/// A gateway, its fake controller, and a key that is taken.
pub(crate) struct Gateway {
    pub(crate) fake: Fake,
    pub(crate) app: App,
    pub(crate) key: String,
    router: Router,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// What came before the body ended or broke off.
    pub(crate) body: Vec<u8>,
    /// Whether it ended as it should.
    pub(crate) complete: bool,
}

pub(crate) async fn gateway() -> Gateway {
    let key = ApiKey::generate().unwrap();
    let store = MemoryStore::new();
    let record = key.record(TenantId::default_tenant(), Role::Admin, "test", Millis(1));
    store.write(vec![Write::Key(record)]).await.unwrap();
    let keys = Keys::load(&store, Arc::new(SystemClock)).await.unwrap();
    let fake = Fake::default();
    let app = App::new(fake.clone(), Arc::new(keys), Metrics::new());
    Gateway { fake, router: router(app.clone()), app, key: key.expose() }
}

impl Gateway {
    /// A request with a key.
    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let authorization = format!("Bearer {}", self.key);
        Request::builder().method(method).uri(path).header(header::AUTHORIZATION, authorization)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, mut stream) = response.into_parts();
        let (mut body, mut complete) = (Vec::new(), true);
        while let Some(frame) = stream.frame().await {
            match frame {
                Ok(frame) => body.extend_from_slice(frame.data_ref().unwrap()),
                Err(_) => complete = false,
            }
        }
        Answer { status: parts.status, headers: parts.headers, body, complete }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn events(&self, path: &str, body: &str) -> Answer {
        let request = self.request(Method::POST, path).header(header::ACCEPT, "text/event-stream");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json", "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Checks that it is a problem in every respect; answers its sentence.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        let mut names: Vec<_> = problem.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["code", "detail", "request_id", "status", "title", "type"]);
        assert_eq!((problem["code"].as_str().unwrap(), problem["status"].as_u64().unwrap()), (code, u64::from(status)));
        assert_eq!(problem["request_id"], self.headers["x-request-id"].to_str().unwrap());
        problem["detail"].as_str().unwrap().to_owned()
    }

    /// Names and data of its events.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        assert_eq!(self.headers[header::CONTENT_TYPE], "text/event-stream", "{}", self.text());
        let text = self.text();
        let blocks = text.split("\n\n").filter(|block| !block.is_empty() && !block.starts_with(':'));
        blocks
            .map(|block| {
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
                (field("event: "), serde_json::from_str(&field("data: ")).unwrap())
            })
            .collect()
    }
}
