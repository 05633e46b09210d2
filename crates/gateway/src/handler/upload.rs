//! Files into sandboxes: the bytes of one as the body, or a form with several.

mod form;

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
};
use http::{HeaderMap, header};
use sentinal_api::{FileQuery, Query, Upload, UploadedFile};
use sentinal_auth::{Permit, WriteFile};
use sentinal_model::{Code, Error, FileWrite, Result, SandboxId};

use super::source::Watched;
use crate::{
    App,
    answer::Reply,
    multipart::boundary_of,
    openapi::{Binary, Problems, UploadForm},
    request::{Authenticated, check_encoding, chunks, length_hint, limited, media_type},
};

/// Upload files
///
/// As a form, in which `sandbox_id` and `path` come before the files; or the bytes of one file as the body, with
/// `sandbox_id` and `path` in the query. A file that does not arrive whole leaves nothing behind.
#[utoipa::path(post, operation_id = "upload", path = "/api/v1/upload", tag = "file",
    params(("sandbox_id" = Option<String>, Query, description = "The sandbox's id, unless the form says it"),
        ("path" = Option<String>, Query, description = "The file's path, unless the form says it")),
    request_body(content((UploadForm = "multipart/form-data"), (Binary = "application/octet-stream"))),
    responses((status = 200, description = "They are there", body = Upload), Problems))]
pub(crate) async fn upload(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    request: Request,
) -> Reply<Json<Upload>> {
    let permit = app.policy.permit::<WriteFile>(&caller)?;
    let (parts, body) = request.into_parts();
    let query = Query::parse(parts.uri.query().unwrap_or_default())?;
    let files = if let Some(boundary) = form_boundary(&parts.headers)? {
        form::Form::new(&app, &caller, permit, query)?.receive(body, &boundary).await?
    } else {
        let FileQuery { sandbox, path } = query.try_into()?;
        vec![raw(&app, &permit, sandbox, &FileWrite::ordinary(path), body).await?]
    };
    Ok(Json(Upload { files }))
}

/// The boundary, if the body is a form.
fn form_boundary(headers: &HeaderMap) -> Result<Option<String>> {
    check_encoding(headers)?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media_type(content_type);
    if media.eq_ignore_ascii_case("multipart/form-data") {
        return boundary_of(content_type).map(Some);
    }
    if media.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/")) {
        let message = "Content-Type: of the multipart types only multipart/form-data is read";
        return Err(Error::new(Code::UnsupportedMediaType, message));
    }
    Ok(None)
}

/// A body that is the bytes of one file.
pub(super) async fn raw(
    app: &App,
    permit: &Permit<WriteFile>,
    sandbox: SandboxId,
    file: &FileWrite,
    body: Body,
) -> Result<UploadedFile> {
    let max = app.limits.upload_bytes;
    if max < length_hint(&body) {
        return Err(too_large(max));
    }
    let (watched, source) = Watched::new(limited(chunks(body), max, move || too_large(max)));
    let written = app.controller.upload(permit, sandbox, file, source).await;
    let written = watched.explain(written)?;
    app.metrics.uploaded(written.bytes);
    Ok(UploadedFile { path: file.at.path.to_string(), size: written.size })
}

fn too_large(max: u64) -> Error {
    Error::new(Code::TooLarge, format!("the upload has more than {max} bytes; send the files in several uploads"))
}
