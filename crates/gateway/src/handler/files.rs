//! A file of a sandbox as a resource: its bytes, or a part of them.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use sentinal_api::{Query, UploadedFile};
use sentinal_auth::{ReadFile, WriteFile};
use sentinal_model::{Code, Error, FileAt, FileRemoval, SandboxId};

use super::{download::answer, upload::raw};
use crate::{
    App,
    answer::{Rejection, Reply},
    openapi::{Binary, Problems},
    request::{Allowed, Asked, Id, check_encoding, wanted_range},
};

/// Read a file
///
/// Its bytes, as they are when the answer begins. With the header `Range` and one range of bytes, that part of them; HEAD
/// answers the headers alone.
#[utoipa::path(get, operation_id = "readFile", path = "/api/v1/sandbox/{id}/files", tag = "file",
    params(("id" = String, Path, description = "The sandbox's id"),
        ("path" = String, Query, description = "Absolute, or relative to the user's home"),
        ("user" = Option<String>, Query, description = "As whom; the ordinary user (uid 1000) unless told"),
        ("range" = Option<String>, Header, description = "`bytes=0-99`, `bytes=100-` or `bytes=-100`")),
    responses((status = 200, description = "The bytes", content_type = "application/octet-stream", body = Binary),
        (status = 206, description = "The part; Content-Range says which", content_type = "application/octet-stream", body = Binary),
        Problems))]
pub(crate) async fn read(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadFile>,
    Id(id): Id<SandboxId>,
    request: Request,
) -> Reply<Response> {
    let range = wanted_range(request.method(), request.headers());
    let file: FileAt = Query::parse(request.uri().query().unwrap_or_default())?.try_into()?;
    let body = app.controller.download(&permit, id, &file, range).await?;
    let (size, part) = (body.size, body.part);
    let Some((first, bytes)) = part else { return Ok(no_such_part(size)) };
    let mut response = answer(&app, request.method(), &file.path, body);
    response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let last = first.saturating_add(bytes).saturating_sub(1);
        set_content_range(&mut response, &format!("bytes {first}-{last}/{size}"));
    }
    Ok(response)
}

/// Write a file
///
/// The body's bytes become the file, whole or not at all; with `append` they go after its end, and what has arrived of
/// them stays when the body breaks off.
#[utoipa::path(put, operation_id = "writeFile", path = "/api/v1/sandbox/{id}/files", tag = "file",
    params(("id" = String, Path, description = "The sandbox's id"),
        ("path" = String, Query, description = "Absolute, or relative to the user's home"),
        ("user" = Option<String>, Query, description = "As whom; the ordinary user (uid 1000) unless told"),
        ("mode" = Option<String>, Query, description = "Permission bits in octal; 0644 unless told. A file that is appended to keeps its own"),
        ("parents" = Option<bool>, Query, description = "Whether missing folders on the way are made; true unless told"),
        ("append" = Option<bool>, Query, description = "Whether the bytes go after what is there")),
    request_body(content = Binary, content_type = "application/octet-stream"),
    responses((status = 200, description = "It is there; the size of all of it", body = UploadedFile), Problems))]
pub(crate) async fn write(
    State(app): State<App>,
    Allowed(permit): Allowed<WriteFile>,
    Id(id): Id<SandboxId>,
    request: Request,
) -> Reply<Json<UploadedFile>> {
    let (parts, body) = request.into_parts();
    check_encoding(&parts.headers)?;
    if parts.headers.contains_key(header::CONTENT_RANGE) {
        return Err(Error::invalid("Content-Range: files are written whole, or at their end with append=true").into());
    }
    let file = Query::parse(parts.uri.query().unwrap_or_default())?.try_into()?;
    Ok(Json(raw(&app, &permit, id, &file, body).await?))
}

/// Remove a file or folder
///
/// A symbolic link is removed itself. `conflict` for a folder that is not empty, unless `recursive`.
#[utoipa::path(delete, operation_id = "removeFile", path = "/api/v1/sandbox/{id}/files", tag = "file",
    params(("id" = String, Path, description = "The sandbox's id"),
        ("path" = String, Query, description = "Absolute, or relative to the user's home"),
        ("user" = Option<String>, Query, description = "As whom; the ordinary user (uid 1000) unless told"),
        ("recursive" = Option<bool>, Query, description = "Whether a folder goes with all that is in it")),
    responses((status = 204, description = "It is gone"), Problems))]
pub(crate) async fn remove(
    State(app): State<App>,
    Allowed(permit): Allowed<WriteFile>,
    Id(id): Id<SandboxId>,
    Asked(removal): Asked<FileRemoval>,
) -> Reply<StatusCode> {
    app.controller.remove_file(&permit, id, &removal).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn no_such_part(size: u64) -> Response {
    let message = format!("Range: the file has {size} bytes, and none of them is in this range");
    let mut response = Rejection::from(Error::new(Code::RangeNotSatisfiable, message)).into_response();
    set_content_range(&mut response, &format!("bytes */{size}"));
    response
}

fn set_content_range(response: &mut Response, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
}
