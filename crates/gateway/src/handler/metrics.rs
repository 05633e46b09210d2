//! The server's figures.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, header};
use sentinal_auth::ReadMetrics;
use sentinal_telemetry::MetricsFormat;

use crate::{App, openapi::Problems, request::Allowed};

/// The server's figures
///
/// As Prometheus reads them; in the `OpenMetrics` text format for whoever takes that.
#[utoipa::path(get, operation_id = "metrics", path = "/metrics", tag = "server",
    responses((status = 200, description = "The figures", content((String = "text/plain"), (String = "application/openmetrics-text"))), Problems))]
pub(crate) async fn metrics(
    State(app): State<App>,
    Allowed(_permit): Allowed<ReadMetrics>,
    headers: HeaderMap,
) -> Response {
    let format = MetricsFormat::of(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()));
    ([(header::CONTENT_TYPE, format.content_type())], app.metrics.render(format)).into_response()
}
