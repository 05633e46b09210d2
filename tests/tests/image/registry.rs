//! A registry of the test's own, on loopback, and an image made of this machine's shell.

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use sentinal_tests::Tar;
use serde_json::{Value, json};

/// `sha256:` and 64 digits.
pub(crate) fn sum(bytes: &[u8]) -> String {
    let start = "sha256:".to_owned();
    digest(&SHA256, bytes).as_ref().iter().fold(start, |text, byte| format!("{text}{byte:02x}"))
}

/// A shell with all that it needs, and a user of its own.
pub(crate) fn root() -> Result<Tar> {
    Ok(with(Tar::default(), "sh")?
        .program("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\napp:x:1234:1234::/srv:/bin/sh\n")
        .program("srv/app/here", b""))
}

/// A program of this machine with all that it is linked with.
pub(crate) fn with(tar: Tar, name: &str) -> Result<Tar> {
    let path = format!("/bin/{name}");
    let linked = Command::new("ldd").arg(&path).output().context("ldd")?;
    let mut tar = tar.program(&path[1..], &fs::read(&path)?);
    for word in String::from_utf8_lossy(&linked.stdout).split_whitespace().filter(|word| word.starts_with('/')) {
        tar = tar.program(&word[1..], &fs::read(Path::new(word))?);
    }
    Ok(tar)
}

/// An image: its documents and layers by digest.
#[derive(Debug, Default)]
pub(crate) struct Image {
    pub(crate) blobs: HashMap<String, Vec<u8>>,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    pub(crate) fn of(layers: &[Vec<u8>], config: &Value) -> Self {
        let mut image = Self::default();
        let ids: Vec<_> = layers.iter().map(|layer| sum(layer)).collect();
        let layers: Vec<_> = layers.iter().map(|layer| image.add(layer.clone())).collect();
        let config = json!({"architecture": "amd64", "os": "linux", "config": config, "rootfs": {"diff_ids": ids}});
        let config = image.add(config.to_string().into_bytes());
        image.manifest = json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string().into_bytes();
        image
    }

    fn add(&mut self, bytes: Vec<u8>) -> Value {
        let descriptor = json!({"mediaType": "any", "digest": sum(&bytes), "size": bytes.len()});
        self.blobs.insert(sum(&bytes), bytes);
        descriptor
    }

    /// As a layout in an archive.
    pub(crate) fn layout(&self) -> Vec<u8> {
        let index = json!({"manifests": [{"digest": sum(&self.manifest), "size": self.manifest.len()}]}).to_string();
        let mut tar = Tar::default().file("oci-layout", b"{}").file("index.json", index.as_bytes());
        for bytes in self.blobs.values().chain([&self.manifest]) {
            tar = tar.file(&format!("blobs/{}", sum(bytes).replace(':', "/")), bytes);
        }
        tar.end()
    }
}

/// Serves one image under every name.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    image: Arc<Image>,
    /// Whether it stops in the middle of every layer and says nothing more.
    pub(crate) is_stalling: Arc<AtomicBool>,
    /// The ranges that it was asked for.
    pub(crate) ranges: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    pub(crate) async fn start(image: Image) -> Result<(Self, SocketAddr)> {
        let registry = Self { image: Arc::new(image), is_stalling: Arc::default(), ranges: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = Router::new().fallback(answer).with_state(registry.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok((registry, address))
    }
}

async fn answer(State(registry): State<Registry>, request: Request) -> Response {
    let path = request.uri().path();
    if path.contains("/manifests/") {
        return registry.image.manifest.clone().into_response();
    }
    let blob = path.rsplit('/').next().and_then(|digest| registry.image.blobs.get(digest));
    let Some(blob) = blob else { return StatusCode::NOT_FOUND.into_response() };
    let range = request.headers().get("range").and_then(|range| range.to_str().ok()).unwrap_or_default();
    registry.ranges.lock().unwrap().extend((!range.is_empty()).then(|| range.to_owned()));
    let start = range.strip_prefix("bytes=").and_then(|range| range.trim_end_matches('-').parse::<usize>().ok());
    let rest = Bytes::copy_from_slice(&blob[start.unwrap_or(0)..]);
    let body = if registry.is_stalling.load(Ordering::Relaxed) && 10_000 < rest.len() {
        let half = rest.slice(..rest.len() / 2);
        Body::from_stream(stream::iter([Ok::<_, std::io::Error>(half)]).chain(stream::pending()))
    } else {
        Body::from(rest)
    };
    let Some(start) = start else { return body.into_response() };
    let range = format!("bytes {start}-{}/{}", blob.len() - 1, blob.len());
    (StatusCode::PARTIAL_CONTENT, [("content-range", range)], body).into_response()
}
