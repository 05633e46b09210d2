//! A registry of our own on loopback, which tells the truth or does not.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use sentinal_image::Digest;
use tempfile::TempDir;

use super::{Credentials, Layers, Progress, Registries, Registry};
use crate::ImportError;

/// What it does with blobs.
#[derive(Clone, Default)]
enum Manner {
    /// What it should.
    #[default]
    Honest,
    /// It breaks off after so many bytes.
    Cuts(usize),
    /// The same, and it always begins at the beginning.
    CutsWithoutRange(Arc<AtomicU64>),
    /// It never ends.
    Endless,
    /// It says nothing after a few bytes.
    Stalls,
    /// Another content.
    Lies,
    /// It ends early, as if that were all.
    Short,
    /// It sends whoever asks elsewhere.
    Redirects(String),
}

#[derive(Clone, Default)]
struct Fake {
    blobs: HashMap<String, Vec<u8>>,
    manifest: Vec<u8>,
    manner: Manner,
    /// It serves only who shows this.
    authorization: Option<String>,
    /// How it asks for it.
    challenge: String,
    /// Path, range and authorization of each request.
    seen: Arc<Mutex<Vec<(String, String, String)>>>,
}

impl Fake {
    /// With an image of layers of these sizes.
    fn with_layers(sizes: &[usize]) -> Self {
        let mut fake = Self::default();
        let layers: Vec<_> = sizes
            .iter()
            .map(|size| fake.add((0..*size).map(|at| u8::try_from(at * size % 251).unwrap()).collect()))
            .collect();
        let config = fake.add(b"{}".to_vec());
        fake.manifest =
            format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, layers.join(",")).into_bytes();
        fake
    }

    fn add(&mut self, bytes: Vec<u8>) -> String {
        let digest = Digest::of(&bytes);
        let descriptor = format!(r#"{{"mediaType":"x","digest":"{digest}","size":{}}}"#, bytes.len());
        self.blobs.insert(digest.to_string(), bytes);
        descriptor
    }

    async fn start(self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(answer).with_state(self);
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    fn seen(&self) -> Vec<(String, String, String)> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(State(fake): State<Fake>, request: Request) -> Response {
    let header =
        |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let (path, range, shown) = (request.uri().path().to_owned(), header("range"), header("authorization"));
    fake.seen.lock().unwrap().push((path.clone(), range.clone(), shown.clone()));
    if path == "/token" {
        let is_known = shown == "Basic YW5uOnNlY3JldA==";
        return if is_known {
            r#"{"token":"tok"}"#.into_response()
        } else {
            axum::http::StatusCode::UNAUTHORIZED.into_response()
        };
    }
    if fake.authorization.as_ref().is_some_and(|wanted| *wanted != shown) {
        return (axum::http::StatusCode::UNAUTHORIZED, [("www-authenticate", fake.challenge)]).into_response();
    }
    if path.contains("/manifests/") {
        return fake.manifest.into_response();
    }
    let Some(blob) = path.rsplit('/').next().and_then(|digest| fake.blobs.get(digest)) else {
        return axum::http::StatusCode::NOT_FOUND.into_response();
    };
    let start = range.strip_prefix("bytes=").and_then(|range| range.trim_end_matches('-').parse::<usize>().ok());
    // Small documents come as they are: this is about layers.
    if blob.len() < 100 {
        return blob.clone().into_response();
    }
    part(&fake.manner, blob, start)
}

fn part(manner: &Manner, blob: &[u8], start: Option<usize>) -> Response {
    let rest = &blob[start.unwrap_or(0)..];
    match manner {
        Manner::Honest => ranged(Body::from(rest.to_vec()), blob.len(), start),
        Manner::Cuts(count) => ranged(cut(rest, *count), blob.len(), start),
        Manner::CutsWithoutRange(tries) => {
            cut(blob, usize::try_from(tries.fetch_add(1, Ordering::Relaxed)).unwrap() * 4000).into_response()
        }
        Manner::Endless => {
            let more = stream::repeat(Bytes::from(vec![7; 4096])).map(Ok::<_, std::io::Error>);
            Body::from_stream(more).into_response()
        }
        Manner::Stalls => {
            let first = Ok::<_, std::io::Error>(Bytes::copy_from_slice(&rest[..10]));
            Body::from_stream(stream::iter([first]).chain(stream::pending())).into_response()
        }
        Manner::Lies => vec![7; blob.len()].into_response(),
        Manner::Short => ranged(Body::from(rest[..rest.len() / 2].to_vec()), blob.len(), start),
        Manner::Redirects(elsewhere) => {
            (axum::http::StatusCode::TEMPORARY_REDIRECT, [("location", elsewhere.clone())]).into_response()
        }
    }
}

fn ranged(body: Body, size: usize, start: Option<usize>) -> Response {
    let Some(start) = start else { return body.into_response() };
    let range = format!("bytes {start}-{}/{size}", size - 1);
    (axum::http::StatusCode::PARTIAL_CONTENT, [("content-range", range)], body).into_response()
}

/// So many bytes, and then the connection breaks.
fn cut(bytes: &[u8], count: usize) -> Body {
    if bytes.len() <= count {
        return Body::from(bytes.to_vec());
    }
    let first = Ok(Bytes::copy_from_slice(&bytes[..count]));
    Body::from_stream(stream::iter([first, Err(std::io::Error::other("cut"))]).then(|piece| async {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        piece
    }))
}

struct Pulled {
    folder: TempDir,
    result: Result<(), ImportError>,
    last: Option<Progress>,
}

async fn pull(fake: &Fake, version: &str, credentials: Option<(&str, &str)>) -> Pulled {
    pull_into(tempfile::tempdir().unwrap(), fake, version, credentials).await
}

async fn pull_into(folder: TempDir, fake: &Fake, version: &str, credentials: Option<(&str, &str)>) -> Pulled {
    let address = fake.clone().start().await;
    let named = [format!("http://{address}")];
    let last = Mutex::new(None);
    let result = async {
        let registries = Registries::new(&named)?;
        let reference = format!("{address}/team/app{version}").parse()?;
        let credentials = credentials
            .map(|(username, password)| Credentials { username: username.to_owned(), password: password.to_owned() });
        let registry = Registry::new(&registries, reference, credentials)?;
        let image = registry.resolve().await?;
        let layers = Layers::new(folder.path().to_owned());
        let downloaded = layers.download(&registry, &image, &|progress| *last.lock().unwrap() = Some(progress)).await?;
        image.lay_out(&downloaded, &folder.path().join("layout"))
    };
    let result = result.await;
    let last = *last.lock().unwrap();
    Pulled { folder, result, last }
}

fn check_layout(fake: &Fake, folder: &Path) {
    for (digest, bytes) in &fake.blobs {
        let path = folder.join("layout/blobs/sha256").join(digest.strip_prefix("sha256:").unwrap());
        assert!(std::fs::read(path).unwrap() == *bytes, "{digest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_has_is_downloaded_and_its_progress_adds_up() {
    let fake = Fake::with_layers(&[200_000, 100, 54_321, 99_999, 1000]);
    let pulled = pull(&fake, ":1", None).await;
    pulled.result.unwrap();
    check_layout(&fake, pulled.folder.path());
    let last = pulled.last.unwrap();
    let total = 200_000 + 100 + 54_321 + 99_999 + 1000;
    assert_eq!((last.bytes_done, last.bytes_total, last.layers_done, last.layers_total), (total, total, 5, 5));
    // A second pull asks for no layer again.
    let before = fake.seen().len();
    let again = pull_into(pulled.folder, &fake, ":2", None).await;
    again.result.unwrap_err(); // the layout is there already
    assert_eq!(fake.seen().len() - before, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_goes_on_where_it_broke() {
    let fake = Fake { manner: Manner::Cuts(30_000), ..Fake::with_layers(&[100_000]) };
    let pulled = pull(&fake, ":1", None).await;
    pulled.result.unwrap();
    check_layout(&fake, pulled.folder.path());
    let ranges: Vec<String> =
        fake.seen().into_iter().map(|(_, range, _)| range).filter(|range| !range.is_empty()).collect();
    assert_eq!(ranges, ["bytes=30000-", "bytes=60000-", "bytes=90000-"]);
    assert_eq!(pulled.last.unwrap().bytes_done, 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_an_earlier_pull_is_gone_on_with() {
    let fake = Fake::with_layers(&[100_000]);
    let (digest, bytes) = fake.blobs.iter().find(|(_, bytes)| bytes.len() == 100_000).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join(format!("{}.part", digest.strip_prefix("sha256:").unwrap()));
    std::fs::write(&part, &bytes[..77_777]).unwrap();
    let pulled = pull_into(folder, &fake, ":1", None).await;
    pulled.result.unwrap();
    check_layout(&fake, pulled.folder.path());
    assert!(fake.seen().iter().any(|(_, range, _)| range == "bytes=77777-"));
    // One that is wrong is noticed at the end, and does not stay.
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join(format!("{}.part", digest.strip_prefix("sha256:").unwrap()));
    std::fs::write(&part, vec![0; 500]).unwrap();
    let pulled = pull_into(folder, &fake, ":1", None).await;
    assert!(matches!(pulled.result, Err(ImportError::Wrong { .. })));
    assert!(!pulled.folder.path().join(part).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_knows_no_parts_is_asked_from_the_beginning() {
    let fake = Fake { manner: Manner::CutsWithoutRange(Arc::default()), ..Fake::with_layers(&[10_000]) };
    let pulled = pull(&fake, ":1", None).await;
    pulled.result.unwrap();
    check_layout(&fake, pulled.folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_are_noticed_and_nothing_of_them_stays() {
    for (manner, words) in [
        (Manner::Lies, "its digest is"),
        (Manner::Endless, "more than the 50000 bytes"),
        (Manner::Short, "ends before its end"),
        (Manner::Stalls, "cannot be read from"),
        (Manner::Redirects("http://169.254.169.254/latest/meta-data".to_owned()), "is not asked for images"),
        (Manner::Redirects("https://10.0.0.1/".to_owned()), "its address is not public"),
        (Manner::Redirects("file:///etc/passwd".to_owned()), "is not asked for images"),
        (Manner::Redirects("/v2/again".to_owned()), "does not have"),
    ] {
        let fake = Fake { manner, ..Fake::with_layers(&[50_000]) };
        let pulled = pull(&fake, ":1", None).await;
        let is_whole =
            pulled.folder.path().read_dir().unwrap().any(|entry| entry.unwrap().path().extension().is_none());
        let error = pulled.result.unwrap_err().to_string();
        assert!(error.contains(words) && !is_whole, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_what_their_digests_say_and_no_larger_than_is_taken() {
    let fake = Fake::with_layers(&[1000]);
    pull(&fake, &format!("@{}", Digest::of(&fake.manifest)), None).await.result.unwrap();
    let other = pull(&fake, &format!("@{}", Digest::of(b"other")), None).await.result.unwrap_err();
    assert!(matches!(other, ImportError::Wrong { .. }), "{other}");
    let huge = Fake { manifest: vec![b' '; 5 << 20], ..Fake::default() };
    assert!(matches!(pull(&huge, ":1", None).await.result, Err(ImportError::Wrong { .. })));
    let digest = Digest::of(b"");
    let layer = format!(r#"{{"digest":"{digest}","size":9000000000}}"#);
    let manifest = format!(r#"{{"config":{{"digest":"{digest}","size":2}},"layers":[{layer}]}}"#).into_bytes();
    let large = Fake { manifest, ..Fake::default() };
    assert!(matches!(pull(&large, ":1", None).await.result, Err(ImportError::TooLarge { .. })));
    assert_eq!(large.seen().len(), 1, "nothing of it was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_for_a_user_and_shown_to_nobody_else() {
    let storage = Fake::with_layers(&[5000]);
    let elsewhere = storage.clone().start().await;
    let listener = Fake::with_layers(&[5000]);
    let digest = Digest::of(storage.blobs.values().find(|bytes| bytes.len() == 5000).unwrap());
    let redirect = format!("http://{elsewhere}/v2/x/blobs/{digest}");
    // The realm's port has to be known before the registry runs: the token comes from the other server.
    let challenge = format!("Bearer realm=\"http://{elsewhere}/token\",service=\"x\"");
    let fake = Fake {
        manner: Manner::Redirects(redirect),
        authorization: Some("Bearer tok".to_owned()),
        challenge,
        ..listener
    };
    let address = fake.clone().start().await;
    let registries = Registries::new(&[format!("http://{address}"), format!("http://{elsewhere}")]).unwrap();
    let attempt = |password: &'static str| {
        let registries = registries.clone();
        async move {
            let credentials = Credentials { username: "ann".to_owned(), password: password.to_owned() };
            let registry =
                Registry::new(&registries, format!("{address}/team/app:1").parse().unwrap(), Some(credentials))?;
            let image = registry.resolve().await?;
            let folder = tempfile::tempdir().unwrap();
            Layers::new(folder.path().to_owned()).download(&registry, &image, &|_| {}).await.map(drop)
        }
    };
    attempt("secret").await.unwrap();
    let shown = storage.seen();
    assert!(shown.iter().any(|(path, _, shown)| path == "/token" && shown.starts_with("Basic ")));
    assert!(shown.iter().filter(|(path, ..)| path != "/token").all(|(.., shown)| shown.is_empty()), "{shown:?}");
    assert!(matches!(attempt("wrong").await, Err(ImportError::Credentials { .. })));
}
