//! JSON bodies.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use futures::TryStreamExt as _;
use http::{HeaderMap, header};
use sentinal_api::parse_json;
use sentinal_model::{Code, Error, Result};
use serde::de::DeserializeOwned;

use super::{check_encoding, chunks, length_hint, limited, media_type};
use crate::{
    App,
    answer::{Rejection, Reply},
};

/// A JSON body of this type.
pub(crate) struct Valid<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Valid<T> {
    type Rejection = Rejection;

    async fn from_request(request: Request, app: &App) -> Reply<Self> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        Ok(Self(parse_json(&whole(body, app).await?)?))
    }
}

/// A JSON body, or its default where there is none.
#[derive(Debug)]
pub(crate) struct OrNothing<T>(pub(crate) T);

impl<T: DeserializeOwned + Default> FromRequest<App> for OrNothing<T> {
    type Rejection = Rejection;

    async fn from_request(request: Request, app: &App) -> Reply<Self> {
        let (parts, body) = request.into_parts();
        let body = whole(body, app).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        check_type(&parts.headers)?;
        Ok(Self(parse_json(&body)?))
    }
}

pub(super) async fn whole(body: Body, app: &App) -> Result<Vec<u8>> {
    let bytes_max = app.limits.json_body_bytes;
    let length = length_hint(&body);
    if bytes_max < length {
        return Err(too_large(bytes_max));
    }
    let bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    let append = |mut bytes: Vec<u8>, chunk: bytes::Bytes| async move {
        bytes.extend_from_slice(&chunk);
        Ok(bytes)
    };
    limited(chunks(body), bytes_max, move || too_large(bytes_max)).try_fold(bytes, append).await
}

fn too_large(max: u64) -> Error {
    Error::new(
        Code::TooLarge,
        format!("the body has more than {max} bytes; put large things into files and upload them"),
    )
}

/// JSON, or nothing said; neither another charset nor compressed.
pub(super) fn check_type(headers: &HeaderMap) -> Result<()> {
    check_encoding(headers)?;
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let media = media_type(&text);
    let is_json = media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"));
    let charset = text.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("charset="));
    let is_utf8 = charset.is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"));
    if is_json && is_utf8 {
        return Ok(());
    }
    let message = "Content-Type: is not JSON in UTF-8; send application/json";
    Err(Error::new(Code::UnsupportedMediaType, message))
}
