//! Files out of sandboxes.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use http::{HeaderValue, Method, header};
use sentinal_api::FileQuery;
use sentinal_auth::ReadFile;
use sentinal_controller::FileBody;
use sentinal_model::{Code, Error, FileAt, GuestPath, Result};

use crate::{
    App,
    answer::Reply,
    openapi::{Binary, Problems},
    request::{Allowed, Asked},
    stream::{Kind, body},
};

/// Download a file
///
/// The bytes of a file, as it is when the download begins.
#[utoipa::path(get, operation_id = "download", path = "/api/v1/download", tag = "file",
    params(("sandbox_id" = String, Query, description = "The sandbox's id"),
        ("path" = String, Query, description = "Absolute, or relative to the user's home")),
    responses((status = 200, description = "The bytes", content_type = "application/octet-stream", body = Binary), Problems))]
pub(crate) async fn download(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadFile>,
    method: Method,
    Asked(query): Asked<FileQuery>,
) -> Reply<Response> {
    let file = FileAt::ordinary(query.path);
    let body = app.controller.download(&permit, query.sandbox, &file, None).await?;
    Ok(answer(&app, &method, &file.path, body))
}

/// A file, or its part, as an answer.
pub(super) fn answer(app: &App, method: &Method, path: &GuestPath, file: FileBody) -> Response {
    let bytes = file.part.map_or(0, |(_, bytes)| bytes);
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => body(app, Kind::File, counted(app, exactly(file.bytes, bytes))),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(bytes)),
        (header::CONTENT_DISPOSITION, disposition(path.name())),
    ];
    (headers, body).into_response()
}

/// A file that grew while it was read ends where it ended when it was opened. One that shrank is cut off: nobody shall
/// take it for whole.
fn exactly(source: BoxStream<'static, Result<Bytes>>, size: u64) -> BoxStream<'static, Result<Bytes>> {
    stream::try_unfold((source, size), |(mut source, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut bytes = source.next().await.transpose()?.ok_or_else(shrunk)?;
        bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - u64::try_from(bytes.len()).unwrap_or(left);
        Ok(Some((bytes, (source, left))))
    })
    .boxed()
}

fn shrunk() -> Error {
    Error::new(Code::Conflict, "the file became shorter while it was read")
}

pub(super) fn counted(app: &App, source: BoxStream<'static, Result<Bytes>>) -> BoxStream<'static, Result<Bytes>> {
    let app = app.clone();
    source.inspect_ok(move |bytes| app.metrics.downloaded(u64::try_from(bytes.len()).unwrap_or(0))).boxed()
}

const HEX: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F"];

/// Never shown by a browser, always saved; the name in ASCII for old clients and in full by RFC 6266.
pub(super) fn disposition(name: &str) -> HeaderValue {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let plain: String = name.chars().map(|c| if is_plain(c) || c == ' ' { c } else { '_' }).collect();
    let mut full = String::with_capacity(name.len());
    for byte in name.bytes() {
        match char::from(byte) {
            c if is_plain(c) => full.push(c),
            _ => full.extend(["%", HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    let text = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{full}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, value: &str) {
        let path: GuestPath = path.parse().unwrap();
        assert_eq!(disposition(path.name()).to_str().unwrap(), value);
    }

    #[test]
    fn no_name_of_a_file_gets_out_of_its_quotes() {
        check("/tmp/a.txt", "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt");
        check("/tmp/a\"; b=\"\r\n", "attachment; filename=\"a__ b____\"; filename*=UTF-8''a%22%3B%20b%3D%22%0D%0A");
        check("/tmp/grüße", "attachment; filename=\"gr__e\"; filename*=UTF-8''gr%C3%BC%C3%9Fe");
    }
}
