//! Requests that say by a key that they are the same request when they are sent again.

use aws_lc_rs::digest::{Context, SHA256};
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use sentinal_api::parse_json;
use sentinal_model::{Error, Once, Result};
use serde::de::DeserializeOwned;

use super::json::{check_type, whole};
use crate::{
    App,
    answer::{Rejection, Reply},
};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that an answer was made by the same request before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A JSON body of this type, and what its sender calls the request.
pub(crate) struct Keyed<T> {
    pub(crate) body: T,
    pub(crate) once: Option<Once>,
}

impl<T: DeserializeOwned> FromRequest<App> for Keyed<T> {
    type Rejection = Rejection;

    async fn from_request(request: Request, app: &App) -> Reply<Self> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        let bytes = whole(body, app).await?;
        Ok(Self { body: parse_json(&bytes)?, once: once(&parts, &bytes)? })
    }
}

/// Refuses a key where no answer could be given again, and says why.
pub(crate) fn refuse_key(headers: &HeaderMap, why: &str) -> Result<()> {
    if headers.contains_key(KEY) {
        return Err(Error::invalid(format!("Idempotency-Key: is not taken here: {why}; leave it out")));
    }
    Ok(())
}

fn once(parts: &Parts, body: &[u8]) -> Result<Option<Once>> {
    let mut values = parts.headers.get_all(KEY).into_iter();
    let (value, None) = (values.next(), values.next()) else {
        return Err(Error::invalid("Idempotency-Key: given more than once; send one"));
    };
    let Some(value) = value else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let key = text.parse().map_err(|error| Error::invalid(format!("Idempotency-Key: {error}")))?;
    Ok(Some(Once { key, request: digest(parts, body) }))
}

/// Of all that decides what a request makes.
fn digest(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in [parts.method.as_str(), " ", parts.uri.path(), "\n"] {
        context.update(part.as_bytes());
    }
    context.update(body);
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// What an answer to such a request says beyond others.
pub(crate) fn replayed(is_replay: bool) -> HeaderMap {
    is_replay.then(|| (REPLAYED, HeaderValue::from_static("true"))).into_iter().collect()
}
