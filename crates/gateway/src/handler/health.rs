//! Whether the server can do its job. These need no key.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use sentinal_api::{Alive, Health};

use crate::App;

/// Whether the server can do its job
#[utoipa::path(get, operation_id = "health", path = "/health", tag = "server", security(()),
    responses((status = 200, description = "It can", body = Health), (status = 503, description = "It cannot", body = Health)))]
pub(crate) async fn health(State(app): State<App>) -> Response {
    answer(reasons(&app))
}

/// Whether the process answers
#[utoipa::path(get, operation_id = "livez", path = "/livez", tag = "server", security(()),
    responses((status = 200, description = "It does", body = Alive)))]
pub(crate) async fn livez() -> Json<Alive> {
    Json(Alive { status: "alive".into() })
}

/// Whether requests may be sent here
#[utoipa::path(get, operation_id = "readyz", path = "/readyz", tag = "server", security(()),
    responses((status = 200, description = "They may", body = Health), (status = 503, description = "They may not", body = Health)))]
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    let mut reasons = reasons(&app);
    if app.closing.is_cancelled() {
        reasons.push("the server is stopping".to_owned());
    }
    answer(reasons)
}

fn reasons(app: &App) -> Vec<String> {
    let health = app.controller.health();
    health.node.err().map(|reason| format!("node: {reason}")).into_iter().collect()
}

fn answer(reasons: Vec<String>) -> Response {
    if reasons.is_empty() {
        return Json(Health::new(reasons)).into_response();
    }
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("5"))];
    (StatusCode::SERVICE_UNAVAILABLE, retry, Json(Health::new(reasons))).into_response()
}
