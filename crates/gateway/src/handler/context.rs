//! Contexts of a sandbox.

use axum::{Json, extract::State};
use http::StatusCode;
use sentinal_api::{Context, List, NewContext};
use sentinal_auth::{Execute, ReadExecution};
use sentinal_controller::OpenContext;
use sentinal_model::SandboxId;

use crate::{
    App,
    answer::Reply,
    openapi::Problems,
    request::{Allowed, Id, OfContext, Valid},
};

/// Create a context
///
/// Starts a program that runs one piece of code after the other and keeps what they leave: variables, functions, modules,
/// for Bash the working directory. Code is sent to it by an execute with `context_id`; pieces that are sent while one
/// runs wait for their turn. `conflict` if the image has no interpreter of the language.
#[utoipa::path(post, operation_id = "createContext", path = "/api/v1/sandbox/{id}/context", tag = "execution",
    params(("id" = String, Path, description = "The sandbox's id")), request_body = NewContext,
    responses((status = 201, description = "It is ready", body = Context), Problems))]
pub(crate) async fn create(
    State(app): State<App>,
    Allowed(permit): Allowed<Execute>,
    Id(id): Id<SandboxId>,
    Valid(body): Valid<NewContext>,
) -> Reply<(StatusCode, Json<Context>)> {
    let language = body.language.clone();
    let context = app.controller.create_context(&permit, id, body.try_into()?).await?;
    let context = OpenContext { id: context, language, executions: 0 };
    Ok((StatusCode::CREATED, Json(present(id, context))))
}

/// List contexts
///
/// The oldest first. One whose program has ended is not there any more.
#[utoipa::path(get, operation_id = "listContexts", path = "/api/v1/sandbox/{id}/context", tag = "execution",
    params(("id" = String, Path, description = "The sandbox's id")),
    responses((status = 200, description = "All of them", body = List<Context>), Problems))]
pub(crate) async fn list(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadExecution>,
    Id(id): Id<SandboxId>,
) -> Reply<Json<List<Context>>> {
    let contexts = app.controller.contexts(&permit, id).await?;
    Ok(Json(List { items: contexts.into_iter().map(|context| present(id, context)).collect(), next: None }))
}

/// Remove a context
///
/// Its program ends, and whatever runs in it as `signaled`.
#[utoipa::path(delete, operation_id = "removeContext", path = "/api/v1/sandbox/{id}/context/{context_id}", tag = "execution",
    params(("id" = String, Path, description = "The sandbox's id"),
        ("context_id" = String, Path, description = "The context's id")),
    responses((status = 204, description = "It ends"), Problems))]
pub(crate) async fn remove(
    State(app): State<App>,
    Allowed(permit): Allowed<Execute>,
    Id(id): Id<SandboxId>,
    OfContext(context): OfContext,
) -> Reply<StatusCode> {
    app.controller.remove_context(&permit, id, context).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn present(sandbox: SandboxId, context: OpenContext) -> Context {
    let OpenContext { id, language, executions } = context;
    Context { id: id.to_string(), sandbox_id: sandbox.to_string(), language, executions }
}
