//! Sandboxes: create, list, read, update, pause, resume, destroy.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use sentinal_api::{self as v1, List, ParsedCreate, Sandbox, SandboxStats, SandboxesQuery};
use sentinal_auth::{CreateSandbox, DestroySandbox, PauseSandbox, ReadSandbox, ResumeSandbox, UpdateSandbox};
use sentinal_controller::{Created, NewSandbox, Page, SandboxFilter};
use sentinal_model::SandboxId;

use crate::{
    App,
    answer::Reply,
    openapi::{IdempotencyKey, Problems},
    present,
    request::{Allowed, Asked, Id, Keyed, OrNothing, Valid, replayed},
};

/// Create a sandbox
///
/// Answers when it runs, or after `wait` seconds with `pending`.
#[utoipa::path(post, operation_id = "createSandbox", path = "/api/v1/sandbox", tag = "sandbox", params(IdempotencyKey),
    request_body = v1::CreateSandbox,
    responses((status = 201, description = "Created; Location names it", body = Sandbox), Problems))]
pub(crate) async fn create(
    State(app): State<App>,
    Allowed(permit): Allowed<CreateSandbox>,
    Keyed { body, once }: Keyed<v1::CreateSandbox>,
) -> Reply<Response> {
    let ParsedCreate { spec, wait } = body.try_into()?;
    let Created { record, is_replay } = app.controller.create(&permit, NewSandbox { spec, wait, once }).await?;
    let sandbox = present::sandbox(record);
    let location = [(header::LOCATION, format!("/api/v1/sandbox/{}", sandbox.id))];
    Ok((StatusCode::CREATED, location, replayed(is_replay), Json(sandbox)).into_response())
}

/// List sandboxes
///
/// Newest first, those that have ended within the retention time included.
#[utoipa::path(get, operation_id = "listSandboxes", path = "/api/v1/sandbox", tag = "sandbox",
    params(("label" = Option<Vec<String>>, Query, explode, description = "With this label, written `key=value`; given more than once: with all of them"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 1000; 100 unless told"),
        ("cursor" = Option<String>, Query, description = "What `next` of the page before said")),
    responses((status = 200, description = "A page", body = List<Sandbox>), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadSandbox>,
    Asked(SandboxesQuery { labels, page: query }): Asked<SandboxesQuery>,
) -> Reply<Json<List<Sandbox>>> {
    let page = Page { after: query.cursor, rows_max: query.limit + 1 };
    let records = app.controller.sandboxes(&permit, &SandboxFilter { labels }, page).await?;
    Ok(Json(List::page(records, query.limit, |record| record.id.to_string(), present::sandbox)))
}

/// Read a sandbox
///
/// One that has ended stays readable for the retention time.
#[utoipa::path(get, operation_id = "readSandbox", path = "/api/v1/sandbox/{id}", tag = "sandbox",
    params(("id" = String, Path, description = "The sandbox's id")),
    responses((status = 200, description = "As it is, or as it was", body = Sandbox), Problems))]
pub(crate) async fn read(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadSandbox>,
    Id(id): Id<SandboxId>,
) -> Reply<Json<Sandbox>> {
    let record = app.controller.sandbox(&permit, id).await?;
    Ok(Json(present::sandbox(record)))
}

/// Read what a sandbox uses
///
/// As the host counts it; zero for what it cannot count. Only of one that runs or is paused.
#[utoipa::path(get, operation_id = "readSandboxStats", path = "/api/v1/sandbox/{id}/stats", tag = "sandbox",
    params(("id" = String, Path, description = "The sandbox's id")),
    responses((status = 200, description = "By now", body = SandboxStats), Problems))]
pub(crate) async fn stats(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadSandbox>,
    Id(id): Id<SandboxId>,
) -> Reply<Json<SandboxStats>> {
    let (record, usage) = app.controller.stats(&permit, id).await?;
    Ok(Json(present::stats(&record, usage)))
}

/// Change a sandbox
///
/// How long it lives from now on, and its labels. The ttl of a paused sandbox cannot be changed.
#[utoipa::path(patch, operation_id = "updateSandbox", path = "/api/v1/sandbox/{id}", tag = "sandbox",
    params(("id" = String, Path, description = "The sandbox's id")), request_body = v1::UpdateSandbox,
    responses((status = 200, description = "As it is now", body = Sandbox), Problems))]
pub(crate) async fn update(
    State(app): State<App>,
    Allowed(permit): Allowed<UpdateSandbox>,
    Id(id): Id<SandboxId>,
    Valid(body): Valid<v1::UpdateSandbox>,
) -> Reply<Json<Sandbox>> {
    let record = app.controller.update(&permit, id, body.try_into()?).await?;
    Ok(Json(present::sandbox(record)))
}

/// Destroy a sandbox
///
/// Answers when nothing is left of it, or with `stopping` if that takes long. Its executions end as `killed`.
#[utoipa::path(delete, operation_id = "destroySandbox", path = "/api/v1/sandbox/{id}", tag = "sandbox",
    params(("id" = String, Path, description = "The sandbox's id")),
    responses((status = 200, description = "Destroyed", body = Sandbox), Problems))]
pub(crate) async fn destroy(
    State(app): State<App>,
    Allowed(permit): Allowed<DestroySandbox>,
    Id(id): Id<SandboxId>,
) -> Reply<Json<Sandbox>> {
    let record = app.controller.destroy(&permit, id).await?;
    Ok(Json(present::sandbox(record)))
}

/// Pause a sandbox
///
/// Everything in it stops where it is, with its memory kept, and takes no cpu. Its ttl goes on; its idle timeout and the
/// timeouts of its executions do not. Until it is resumed, what needs its agent is refused with `conflict`.
#[utoipa::path(post, operation_id = "pauseSandbox", path = "/api/v1/sandbox/{id}/pause", tag = "sandbox",
    params(("id" = String, Path, description = "The sandbox's id")),
    request_body(content = Option<v1::PauseSandbox>, description = "May be left out"),
    responses((status = 200, description = "Paused", body = Sandbox), Problems))]
pub(crate) async fn pause(
    State(app): State<App>,
    Allowed(permit): Allowed<PauseSandbox>,
    Id(id): Id<SandboxId>,
    OrNothing(body): OrNothing<v1::PauseSandbox>,
) -> Reply<Json<Sandbox>> {
    body.check()?;
    let record = app.controller.pause(&permit, id).await?;
    Ok(Json(present::sandbox(record)))
}

/// Resume a sandbox
///
/// It goes on where it was paused. One that runs stays as it is.
#[utoipa::path(post, operation_id = "resumeSandbox", path = "/api/v1/sandbox/{id}/resume", tag = "sandbox",
    params(("id" = String, Path, description = "The sandbox's id")),
    responses((status = 200, description = "Running", body = Sandbox), Problems))]
pub(crate) async fn resume(
    State(app): State<App>,
    Allowed(permit): Allowed<ResumeSandbox>,
    Id(id): Id<SandboxId>,
) -> Reply<Json<Sandbox>> {
    let record = app.controller.resume(&permit, id).await?;
    Ok(Json(present::sandbox(record)))
}
