//! What a file's bytes come from, and why they stopped coming.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use sentinal_model::{Error, Result};

/// The first error of a source. The controller only knows that the body broke off; this knows why.
pub(super) struct Watched(Arc<Mutex<Option<Error>>>);

impl Watched {
    /// Watches `source`.
    pub(super) fn new(source: BoxStream<'static, Result<Bytes>>) -> (Self, BoxStream<'static, Result<Bytes>>) {
        let first = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&first);
        let source = source.inspect_err(move |error| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        });
        (Self(first), source.boxed())
    }

    /// The answer, with the source's own error if it had one.
    pub(super) fn explain<T>(self, answer: Result<T>) -> Result<T> {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(error) => Err(error),
            None => answer,
        }
    }
}
