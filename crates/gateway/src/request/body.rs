//! Bodies as they come in: never faster than they are used, never larger than allowed, never silent for long.

use axum::body::Body;
use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use sentinal_model::{Code, Error, Result, limits};

/// The bytes of a body, until its end, an error, or [`limits::BODY_IDLE_TIMEOUT`] without progress.
pub(crate) fn chunks(body: Body) -> BoxStream<'static, Result<Bytes>> {
    stream::try_unfold(body, |mut body| async move { Ok(chunk(&mut body).await?.map(|bytes| (bytes, body))) }).boxed()
}

async fn chunk(body: &mut Body) -> Result<Option<Bytes>> {
    loop {
        let frame = tokio::time::timeout(limits::BODY_IDLE_TIMEOUT, body.frame()).await.map_err(|_| idle())?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(cut_off(&error)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(_trailers) => {}
            },
        }
    }
}

/// The same bytes, or `refusal` as soon as there are more than `bytes_max`.
pub(crate) fn limited(
    source: BoxStream<'static, Result<Bytes>>,
    bytes_max: u64,
    refusal: impl Fn() -> Error + Copy + Send + 'static,
) -> BoxStream<'static, Result<Bytes>> {
    stream::try_unfold((source, 0_u64), move |(mut source, seen)| async move {
        let Some(bytes) = source.next().await.transpose()? else { return Ok(None) };
        let seen = seen.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if bytes_max < seen {
            return Err(refusal());
        }
        Ok(Some((bytes, (source, seen))))
    })
    .boxed()
}

/// Refuses what would have to be unpacked first.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<()> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let message = "Content-Encoding: compressed bodies are not read; send it as it is";
        return Err(Error::new(Code::UnsupportedMediaType, message));
    }
    Ok(())
}

/// How many bytes a body says it has at least.
pub(crate) fn length_hint(body: &Body) -> u64 {
    body.size_hint().lower()
}

fn idle() -> Error {
    let seconds = limits::BODY_IDLE_TIMEOUT.as_secs();
    Error::new(Code::RequestTimeout, format!("the body made no progress for {seconds} seconds; send it again, whole"))
}

fn cut_off(error: &axum::Error) -> Error {
    Error::invalid("the body was cut off or is malformed; send it again, whole").with_source(error)
}
