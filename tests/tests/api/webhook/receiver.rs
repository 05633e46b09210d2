//! A receiver of the test's own on loopback. Each test has a path of its own, on which it answers as it is told.

use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, verify};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sentinal_tests::soon;
use serde_json::Value;

/// Longer than any wait between two attempts of these tests.
const DEADLINE: Duration = Duration::from_mins(1);

/// What a path answers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Manner {
    /// That it has it.
    #[default]
    Takes,
    /// 500, so many times; then that it has it.
    Fails(usize),
    /// 410.
    Gone,
    /// To another path.
    Redirects(&'static str),
    /// Nothing, ever.
    Silent,
}

/// What came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Listens as long as the test's program lives. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Receiver {
    paths: Arc<Mutex<HashMap<String, Path>>>,
}

/// What a path answers, and what came there.
#[derive(Debug, Default)]
struct Path {
    manner: Manner,
    received: Vec<Received>,
}

impl Receiver {
    /// On a thread of its own: it outlives the test that needs it first.
    pub(crate) fn listen(&self, address: SocketAddr) -> Result<()> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let app = Router::new().fallback(answer).with_state(self.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(listener, app).await
            })
        });
        Ok(())
    }

    pub(crate) fn behave(&self, path: &str, manner: Manner) {
        self.paths().entry(path.to_owned()).or_default().manner = manner;
    }

    /// What came on a path, in order.
    pub(crate) fn received(&self, path: &str) -> Vec<Received> {
        self.paths().get(path).map(|path| path.received.clone()).unwrap_or_default()
    }

    /// Waits until as many have come on a path that are like that.
    pub(crate) async fn get(&self, path: &str, count: usize, like: impl Fn(&Value) -> bool) -> Result<Vec<Received>> {
        let look = || {
            let all = self.received(path);
            let found: Vec<_> = all.iter().filter(|one| one.event().is_ok_and(|event| like(&event))).cloned().collect();
            ensure!(count <= found.len(), "{} of {count} on {path}, of {} in all", found.len(), all.len());
            Ok(found)
        };
        soon("events that are delivered", DEADLINE, look).await
    }

    fn paths(&self) -> MutexGuard<'_, HashMap<String, Path>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let manner = {
        let mut paths = receiver.paths();
        let Path { manner, received } = paths.entry(uri.path().to_owned()).or_default();
        received.push(Received { headers, body });
        let now = *manner;
        if let Manner::Fails(left) = manner {
            *manner = left.checked_sub(1).map_or(Manner::Takes, Manner::Fails);
        }
        now
    };
    match manner {
        Manner::Takes | Manner::Fails(0) => (StatusCode::OK, "thank you").into_response(),
        Manner::Fails(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not now").into_response(),
        Manner::Gone => StatusCode::GONE.into_response(),
        Manner::Redirects(path) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, path)]).into_response(),
        Manner::Silent => std::future::pending().await,
    }
}

impl Received {
    pub(crate) fn event(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context("an event")
    }

    pub(crate) fn header(&self, name: &str) -> Result<&str> {
        self.headers.get(name).with_context(|| format!("no header {name}"))?.to_str().context("text")
    }

    pub(crate) fn cursor(&self) -> Result<i64> {
        self.event()?["cursor"].as_str().context("a cursor")?.parse().context("a number")
    }

    /// That it was signed with this secret, as Standard Webhooks have it.
    pub(crate) fn is_signed(&self, secret: &str) -> Result<bool> {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").context("a secret")?)?;
        ensure!((24..=64).contains(&key.len()), "a secret of {} bytes", key.len());
        let signature = self.header("webhook-signature")?.strip_prefix("v1,").context("version 1")?;
        let mut signed = format!("{}.{}.", self.header("webhook-id")?, self.header("webhook-timestamp")?).into_bytes();
        signed.extend_from_slice(&self.body);
        Ok(verify(&Key::new(HMAC_SHA256, &key), &signed, &STANDARD.decode(signature)?).is_ok())
    }
}
