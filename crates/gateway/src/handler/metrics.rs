//! The server's figures.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::header;
use sentinal_auth::ReadMetrics;
use sentinal_telemetry::Metrics;

use crate::{App, openapi::Problems, request::Allowed};

/// The server's figures
///
/// In the `OpenMetrics` text format, as Prometheus reads it.
#[utoipa::path(get, operation_id = "metrics", path = "/metrics", tag = "server",
    responses((status = 200, description = "The figures", content_type = "application/openmetrics-text", body = String), Problems))]
pub(crate) async fn metrics(State(app): State<App>, Allowed(_permit): Allowed<ReadMetrics>) -> Response {
    ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], app.metrics.render()).into_response()
}
