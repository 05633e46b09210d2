//! A client that is still sending while it is refused would see a broken connection instead of the refusal. So
//! what it sends is read and dropped for a moment first.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use http::header;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// How long a refused body is read.
const LINGER: Duration = Duration::from_secs(2);
/// How much of it.
const LINGER_BYTES_MAX: usize = 256 << 20;

type Shared = Arc<Mutex<Option<Body>>>;

/// What a handler has not read of a body.
pub(super) struct Leftover(Option<Shared>);

/// Lets a request's body be found again after its handler has dropped it.
pub(super) fn watch(request: Request) -> (Request, Leftover) {
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return (request, Leftover(None));
    }
    let (parts, body) = request.into_parts();
    let shared = Arc::new(Mutex::new(None));
    let watched = Watched { body: Some(body), back: Arc::clone(&shared) };
    (Request::from_parts(parts, Body::new(watched)), Leftover(Some(shared)))
}

impl Leftover {
    /// Reads and drops what is left, within limits.
    pub(super) async fn drain(self) {
        let Some(shared) = self.0 else { return };
        let Some(mut body) = shared.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let read = async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = body.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if LINGER_BYTES_MAX < bytes {
                    return;
                }
            }
        };
        // Whether it came to its end does not matter: the connection is closed if it did not.
        let _ = tokio::time::timeout(LINGER, read).await;
    }
}

struct Watched {
    body: Option<Body>,
    back: Shared,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        *self.back.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
    }
}
