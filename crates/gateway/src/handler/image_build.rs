//! Builds of images, and what is said in them.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use futures::StreamExt as _;
use http::{StatusCode, header};
use sentinal_api::{BuildQuery, ImageJob, JobLogQuery, Query};
use sentinal_auth::{CreateSandbox, Execute, ImportImage, ReadImage};
use sentinal_controller::NewBuild;
use sentinal_model::{Code, Error, ImageJobId, limits};

use super::source::Watched;
use crate::{
    App,
    answer::Reply,
    openapi::{Binary, Problems},
    present,
    request::{Allowed, Asked, Id, check_encoding, chunks, length_hint, limited},
    stream::{Kind, body},
};

/// Build an image
///
/// The body is the context: a tar stream, not compressed, at most 3 GiB. Its Containerfile is read at once, and what can
/// be known to be wrong with it is refused with its line; then the answer comes and the build goes on, in a sandbox of
/// the image that FROM names. FROM, ARG, RUN, COPY, ENV, WORKDIR, USER, CMD, ENTRYPOINT and LABEL are read.
#[utoipa::path(post, operation_id = "buildImage", path = "/api/v1/image/build", tag = "image",
    params(("name" = String, Query, description = "What the image is to be called; a name that is taken moves to it", example = "team/app:1"),
        ("file" = Option<String>, Query, description = "The Containerfile, a path in the context; `Containerfile` unless told"),
        ("arg" = Option<Vec<String>>, Query, description = "`NAME=value` for an ARG; may be given more than once", example = json!(["VERSION=3.12"])),
        ("engine" = Option<sentinal_api::EngineChoice>, Query, description = "Which engine; `auto` unless told"),
        ("cpu" = Option<f64>, Query, description = "Cores, between 0.05 and 64; 1 unless told", example = 1),
        ("memory" = Option<String>, Query, description = "Memory as a Kubernetes quantity; `1Gi` unless told", example = "1Gi"),
        ("disk" = Option<String>, Query, description = "What the steps may write together, as a Kubernetes quantity; `2Gi` unless told", example = "2Gi")),
    request_body(content = Binary, content_type = "application/x-tar"),
    responses((status = 202, description = "It has begun; Location names it", body = ImageJob), Problems))]
pub(crate) async fn build(
    State(app): State<App>,
    Allowed(permit): Allowed<ImportImage>,
    Allowed(create): Allowed<CreateSandbox>,
    Allowed(execute): Allowed<Execute>,
    request: Request,
) -> Reply<Response> {
    let (parts, body) = request.into_parts();
    check_encoding(&parts.headers)?;
    let BuildQuery { name, file, args, spec } = Query::parse(parts.uri.query().unwrap_or_default())?.try_into()?;
    if limits::ARCHIVE_STREAM_BYTES_MAX < length_hint(&body) {
        return Err(too_large().into());
    }
    let (watched, context) = Watched::new(limited(chunks(body), limits::ARCHIVE_STREAM_BYTES_MAX, too_large));
    let new = NewBuild { name, file, args, spec };
    let begun = app.controller.build_image(&permit, (&create, &execute), new, context).await;
    let job = watched.explain(begun)?;
    let location = [(header::LOCATION, format!("/api/v1/image/job/{}", job.id))];
    Ok((StatusCode::ACCEPTED, location, Json(present::image_job(job))).into_response())
}

/// Read a build's log
///
/// Its steps, and what their programs write, as they are. The last 256 KiB are kept as long as the server runs.
#[utoipa::path(get, operation_id = "readImageJobLog", path = "/api/v1/image/job/{id}/log", tag = "image",
    params(("id" = String, Path, description = "The job's id"),
        ("offset" = Option<u64>, Query, description = "From this byte on; 0 unless told"),
        ("follow" = Option<bool>, Query, description = "Whether to go on until the build has ended; false unless told")),
    responses((status = 200, description = "What was said", content_type = "text/plain", body = String), Problems))]
pub(crate) async fn log(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadImage>,
    Id(id): Id<ImageJobId>,
    Asked(JobLogQuery { offset, follow }): Asked<JobLogQuery>,
) -> Reply<Response> {
    let said = app.controller.image_job_log(&permit, id, (offset, follow))?;
    let kind = if follow { Kind::Follow } else { Kind::File };
    let body = body(&app, kind, said.map(Ok).boxed());
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response())
}

fn too_large() -> Error {
    let max = limits::ARCHIVE_STREAM_BYTES_MAX;
    Error::new(Code::TooLarge, format!("the context has more than {max} bytes"))
}
