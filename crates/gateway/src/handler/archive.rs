//! Folders of a sandbox as tar streams. They are packed and unpacked inside: nothing here looks into them.

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, Method, header};
use sentinal_api::{Query, UnpackedArchive};
use sentinal_auth::{ReadFile, WriteFile};
use sentinal_model::{ArchiveRead, ArchiveWrite, Code, Error, SandboxId, limits};

use super::{
    download::{counted, disposition},
    source::Watched,
};
use crate::{
    App,
    answer::Reply,
    openapi::{Binary, Problems},
    request::{Allowed, Asked, Id, check_encoding, chunks, length_hint, limited},
    stream::{Kind, body},
};

/// Read a folder as an archive
///
/// A tar stream of what is in it. Sockets, named pipes and devices are left out. An answer that is cut off is not
/// complete.
#[utoipa::path(get, operation_id = "readArchive", path = "/api/v1/sandbox/{id}/files/archive", tag = "file",
    params(("id" = String, Path, description = "The sandbox's id"),
        ("path" = String, Query, description = "Absolute, or relative to the user's home"),
        ("user" = Option<String>, Query, description = "As whom; the ordinary user (uid 1000) unless told")),
    responses((status = 200, description = "The archive", content_type = "application/x-tar", body = Binary), Problems))]
pub(crate) async fn read(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadFile>,
    Id(id): Id<SandboxId>,
    method: Method,
    Asked(ArchiveRead { at }): Asked<ArchiveRead>,
) -> Reply<Response> {
    let archive = app.controller.read_archive(&permit, id, &at).await?;
    let body = match method {
        Method::HEAD => Body::empty(),
        _ => body(&app, Kind::File, counted(&app, archive)),
    };
    let name = if at.path.name().is_empty() { "root" } else { at.path.name() };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar")),
        (header::CONTENT_DISPOSITION, disposition(&format!("{name}.tar"))),
    ];
    Ok((headers, body).into_response())
}

/// Unpack an archive into a folder
///
/// The body is a tar stream, not compressed. An entry that would lead out of the folder, or is neither a file, a folder
/// nor a link, is refused by name; what came before it stays. Files replace what has their name, folders that are there
/// keep what is in them, and all of it is the user's.
#[utoipa::path(put, operation_id = "writeArchive", path = "/api/v1/sandbox/{id}/files/archive", tag = "file",
    params(("id" = String, Path, description = "The sandbox's id"),
        ("path" = String, Query, description = "Absolute, or relative to the user's home"),
        ("user" = Option<String>, Query, description = "As whom; the ordinary user (uid 1000) unless told"),
        ("parents" = Option<bool>, Query, description = "Whether the folder and those on the way are made; true unless told")),
    request_body(content = Binary, content_type = "application/x-tar"),
    responses((status = 200, description = "It is unpacked", body = UnpackedArchive), Problems))]
pub(crate) async fn write(
    State(app): State<App>,
    Allowed(permit): Allowed<WriteFile>,
    Id(id): Id<SandboxId>,
    request: Request,
) -> Reply<Json<UnpackedArchive>> {
    let (parts, body) = request.into_parts();
    check_encoding(&parts.headers)?;
    let archive: ArchiveWrite = Query::parse(parts.uri.query().unwrap_or_default())?.try_into()?;
    if limits::ARCHIVE_BYTES_MAX < length_hint(&body) {
        return Err(too_large().into());
    }
    let (watched, source) = Watched::new(limited(chunks(body), limits::ARCHIVE_BYTES_MAX, too_large));
    let unpacked = app.controller.write_archive(&permit, id, &archive, source).await;
    let unpacked = watched.explain(unpacked)?;
    app.metrics.uploaded(unpacked.bytes);
    let path = archive.at.path.to_string();
    Ok(Json(UnpackedArchive { path, entries: unpacked.entries, bytes: unpacked.bytes }))
}

fn too_large() -> Error {
    let max = limits::ARCHIVE_BYTES_MAX;
    Error::new(Code::TooLarge, format!("the archive has more than {max} bytes; send it in several parts"))
}
