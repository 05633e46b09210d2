//! With whose key a request was made, for what goes on after its handler: bodies and connections that stay open end
//! when the key does.

use std::{
    sync::{Arc, OnceLock},
    task::Poll,
};

use axum::{body::Body, extract::Request, response::Response};
use futures::{Stream as _, StreamExt as _, future::BoxFuture, stream};
use http::Extensions;
use http_body::Body as _;
use sentinal_model::{Code, Error, KeyId};

use crate::App;

/// A body of so many bytes is on its way already.
const SMALL_BYTES: u64 = 64 * 1024;

/// Whose request it is, as soon as that is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holder(Arc<OnceLock<KeyId>>);

impl Holder {
    /// Of the request with these extensions.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// It is this one's.
    pub(crate) fn is(&self, key: KeyId) {
        // Only the first to say so has looked at what was shown.
        let _ = self.0.set(key);
    }

    /// Whether the key, if there was one, can still be used.
    pub(crate) fn is_taken(&self, app: &App) -> bool {
        self.0.get().is_none_or(|key| app.keys.is_taken(*key))
    }

    /// Resolves when the key cannot be used any more; never if there was none.
    pub(crate) fn ended(&self, app: &App) -> BoxFuture<'static, ()> {
        match self.0.get() {
            Some(key) => app.keys.ended(*key),
            None => Box::pin(std::future::pending()),
        }
    }

    /// Cuts off what is still being sent when the key ends, so that nobody takes it for complete.
    pub(crate) fn bound(&self, app: &App, response: Response) -> Response {
        if self.0.get().is_none() || response.body().size_hint().exact().is_some() {
            return response;
        }
        let ended = self.ended(app);
        response.map(|body| until(body, ended))
    }
}

/// Takes no more of a request's body when the key ends. What is small is read in a moment.
pub(crate) fn guarded(app: &App, holder: &Holder, request: Request) -> Request {
    if request.body().size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BYTES) {
        return request;
    }
    let (app, holder) = (app.clone(), holder.clone());
    request.map(|body| {
        let taken = move |bytes| if holder.is_taken(&app) { bytes } else { Err(axum::Error::new(no_longer_taken())) };
        Body::from_stream(body.into_data_stream().map(taken))
    })
}

fn until(body: Body, mut ended: BoxFuture<'static, ()>) -> Body {
    let mut rest = Some(Box::pin(body.into_data_stream()));
    Body::from_stream(stream::poll_fn(move |context| {
        let Some(data) = &mut rest else { return Poll::Ready(None) };
        if ended.as_mut().poll(context).is_ready() {
            rest = None;
            return Poll::Ready(Some(Err(axum::Error::new(no_longer_taken()))));
        }
        data.as_mut().poll_next(context)
    }))
}

/// What somebody gets whose key has ended while a request was under way.
pub(crate) fn no_longer_taken() -> Error {
    Error::new(Code::Unauthenticated, "the API key cannot be used any more; it was revoked or has expired")
}
