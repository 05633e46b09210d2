//! Engines: which there are and whether they can be used.

use axum::{Json, extract::State};
use sentinal_api::{Engine, List};
use sentinal_auth::ReadEngine;

use crate::{App, answer::Reply, openapi::Problems, present, request::Allowed};

/// List engines
///
/// All of them, strongest isolation first, each with what its last probe found.
#[utoipa::path(get, operation_id = "listEngines", path = "/api/v1/engine", tag = "server",
    responses((status = 200, description = "All engines", body = List<Engine>), Problems))]
pub(crate) async fn list(State(app): State<App>, Allowed(permit): Allowed<ReadEngine>) -> Reply<Json<List<Engine>>> {
    let items = app.controller.engines(&permit).into_iter().map(present::engine).collect();
    Ok(Json(List { items, next: None }))
}
