//! Images: list, inspect, import, pull, remove, prune.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use sentinal_api::{
    Image, ImageDetails, ImageJob, ImageJobsQuery, ImagesQuery, ImportQuery, List, ParsedPull, PullImage, Query,
    RemovedImages,
};
use sentinal_auth::{ImportImage, ReadImage, RemoveImage};
use sentinal_controller::{Credentials, NewImage, Page, PullRequest};
use sentinal_model::{Code, Error, ImageJobId, ImageName, limits};

use super::source::Watched;
use crate::{
    App,
    answer::Reply,
    openapi::{Binary, Problems},
    present,
    request::{Allowed, Asked, Id, ImageNamed, Valid, check_encoding, chunks, length_hint, limited},
};

/// List images
///
/// In order of their names.
#[utoipa::path(get, operation_id = "listImages", path = "/api/v1/image", tag = "image",
    params(("limit" = Option<u32>, Query, description = "At most so many, 1 to 1000; 100 unless told"),
        ("cursor" = Option<String>, Query, description = "What `next` of the page before said")),
    responses((status = 200, description = "A page", body = List<Image>), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadImage>,
    Asked(ImagesQuery(query)): Asked<ImagesQuery>,
) -> Reply<Json<List<Image>>> {
    let page = Page { after: query.cursor, rows_max: query.limit + 1 };
    let images = app.controller.images(&permit, page).await?;
    Ok(Json(List::page(images, query.limit, |image| image.name.to_string(), present::image)))
}

/// Read an image
///
/// A `/` in its name is written `%2F`.
#[utoipa::path(get, operation_id = "readImage", path = "/api/v1/image/{name}", tag = "image",
    params(("name" = String, Path, description = "The image's name")),
    responses((status = 200, description = "All that is known of it", body = ImageDetails), Problems))]
pub(crate) async fn read(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadImage>,
    ImageNamed(name): ImageNamed,
) -> Reply<Json<ImageDetails>> {
    Ok(Json(present::image_details(app.controller.image(&permit, &name).await?)))
}

/// Remove an image
///
/// Takes the name away, and the image with its last name. While a sandbox of it exists, or a pool keeps some booted, that
/// is a `conflict`.
#[utoipa::path(delete, operation_id = "removeImage", path = "/api/v1/image/{name}", tag = "image",
    params(("name" = String, Path, description = "The image's name")),
    responses((status = 200, description = "What is gone with the name", body = RemovedImages), Problems))]
pub(crate) async fn remove(
    State(app): State<App>,
    Allowed(permit): Allowed<RemoveImage>,
    ImageNamed(name): ImageNamed,
) -> Reply<Json<RemovedImages>> {
    Ok(Json(present::removed_images(app.controller.remove_image(&permit, &name).await?)))
}

/// Remove unused images
///
/// Those that have no name any more, and of which there is no sandbox.
#[utoipa::path(post, operation_id = "pruneImages", path = "/api/v1/image/prune", tag = "image",
    responses((status = 200, description = "What is gone", body = RemovedImages), Problems))]
pub(crate) async fn prune(State(app): State<App>, Allowed(permit): Allowed<RemoveImage>) -> Reply<Json<RemovedImages>> {
    Ok(Json(present::removed_images(app.controller.prune_images(&permit).await?)))
}

/// Import an image
///
/// The body is a tar stream, at most 8 GiB, as it is or compressed with gzip or zstd: an OCI layout, what `docker save`
/// writes, or the files of an image. Every digest in it is compared. Answers when sandboxes can be made of it.
#[utoipa::path(post, operation_id = "importImage", path = "/api/v1/image/import", tag = "image",
    params(("name" = String, Query, description = "What it is to be called; a name that is taken moves to it")),
    request_body(content = Binary, content_type = "application/x-tar"),
    responses((status = 201, description = "It is there; Location names it", body = ImageDetails), Problems))]
pub(crate) async fn import(
    State(app): State<App>,
    Allowed(permit): Allowed<ImportImage>,
    request: Request,
) -> Reply<Response> {
    let (parts, body) = request.into_parts();
    check_encoding(&parts.headers)?;
    let ImportQuery { name } = Query::parse(parts.uri.query().unwrap_or_default())?.try_into()?;
    if limits::IMAGE_ARCHIVE_BYTES_MAX < length_hint(&body) {
        return Err(too_large().into());
    }
    let (watched, archive) = Watched::new(limited(chunks(body), limits::IMAGE_ARCHIVE_BYTES_MAX, too_large));
    let new = NewImage { name: name.clone(), source: "an archive".to_owned() };
    let imported = app.controller.import_image(&permit, new, archive).await;
    let imported = watched.explain(imported)?;
    let location = [(header::LOCATION, image_path(&name))];
    Ok((StatusCode::CREATED, location, Json(present::image_details(imported))).into_response())
}

/// Pull an image
///
/// Answers at once; the pull goes on, and its id tells how far it is. Only registries with TLS and a public address are
/// asked, and those that the operator has named.
#[utoipa::path(post, operation_id = "pullImage", path = "/api/v1/image/pull", tag = "image", request_body = PullImage,
    responses((status = 202, description = "It has begun; Location names it", body = ImageJob), Problems))]
pub(crate) async fn pull(
    State(app): State<App>,
    Allowed(permit): Allowed<ImportImage>,
    Valid(body): Valid<PullImage>,
) -> Reply<Response> {
    let ParsedPull { name, reference, credentials } = body.try_into()?;
    let credentials = credentials.map(|given| Credentials { username: given.username, password: given.password });
    let job = app.controller.pull_image(&permit, name, PullRequest { reference, credentials }).await?;
    let location = [(header::LOCATION, format!("/api/v1/image/job/{}", job.id))];
    Ok((StatusCode::ACCEPTED, location, Json(present::image_job(job))).into_response())
}

/// List pulls and builds
///
/// Newest first, those that have ended included.
#[utoipa::path(get, operation_id = "listImageJobs", path = "/api/v1/image/job", tag = "image",
    params(("limit" = Option<u32>, Query, description = "At most so many, 1 to 1000; 100 unless told"),
        ("cursor" = Option<String>, Query, description = "What `next` of the page before said")),
    responses((status = 200, description = "A page", body = List<ImageJob>), Problems))]
pub(crate) async fn jobs(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadImage>,
    Asked(ImageJobsQuery(query)): Asked<ImageJobsQuery>,
) -> Reply<Json<List<ImageJob>>> {
    let page = Page { after: query.cursor, rows_max: query.limit + 1 };
    let jobs = app.controller.image_jobs(&permit, page);
    Ok(Json(List::page(jobs, query.limit, |job| job.id.to_string(), present::image_job)))
}

/// Read a pull or build
///
/// How far it is, and what became of it.
#[utoipa::path(get, operation_id = "readImageJob", path = "/api/v1/image/job/{id}", tag = "image",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "As it is", body = ImageJob), Problems))]
pub(crate) async fn job(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadImage>,
    Id(id): Id<ImageJobId>,
) -> Reply<Json<ImageJob>> {
    Ok(Json(present::image_job(app.controller.image_job(&permit, id)?)))
}

/// Cancel a pull or build
///
/// Answers when nothing of it goes on. One that has ended stays as it is.
#[utoipa::path(delete, operation_id = "cancelImageJob", path = "/api/v1/image/job/{id}", tag = "image",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "As it is now", body = ImageJob), Problems))]
pub(crate) async fn cancel(
    State(app): State<App>,
    Allowed(permit): Allowed<ImportImage>,
    Id(id): Id<ImageJobId>,
) -> Reply<Json<ImageJob>> {
    Ok(Json(present::image_job(app.controller.cancel_image_job(&permit, id).await?)))
}

fn image_path(name: &ImageName) -> String {
    format!("/api/v1/image/{}", name.as_str().replace('/', "%2F"))
}

fn too_large() -> Error {
    let max = limits::IMAGE_ARCHIVE_BYTES_MAX;
    Error::new(Code::TooLarge, format!("the archive has more than {max} bytes"))
}
