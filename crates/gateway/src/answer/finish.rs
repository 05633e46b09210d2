//! What every request goes through first and every answer last: an id, the limit on the head, the body of a
//! failure, the headers that all answers carry, the figures.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use sentinal_model::{Code, Error, Result, limits};
use sentinal_telemetry::{Limit, Origin, Route};
use tracing::{Instrument as _, Span, field::Empty};

use super::{Rejection, failure::write_problem, linger};
use crate::{
    App,
    request::{Holder, check_acceptable, guarded},
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// W3C Trace Context: what the caller's request is part of.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What finds a request in the log.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Answers a request, come what may.
pub(crate) async fn finish(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = format!("req_{}", uuid::Uuid::now_v7().simple());
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let holder = Holder::default();
    request.extensions_mut().insert(holder.clone());
    let route =
        request.extensions().get::<MatchedPath>().map_or(Route::Unknown, |path| Route::from_template(path.as_str()));
    let method = request.method().clone();
    let span = tracing::info_span!("gateway.request", otel.kind = "server", %request_id, route = route.template(),
        %method, status = Empty, trace_id = Empty, otel.status_code = Empty);
    let trace_id = traced(request.headers(), &span);
    let request = guarded(&app, &holder, request);
    let mut response = answer(route, request, next).instrument(span.clone()).await;
    if let Some(error) = response.extensions_mut().remove::<Error>() {
        span.in_scope(|| record(&app, route, &error));
        write_problem(&mut response, &error, &request_id);
    }
    let mut response = holder.bound(&app, response);
    span.record("status", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    add_headers(response.headers_mut(), &request_id, trace_id.as_deref());
    app.metrics.request(route, method.as_str(), response.status().as_u16(), started.elapsed());
    response
}

/// Puts the request below what its caller says that it is part of. Answers the id of the trace, if there is one.
fn traced(headers: &HeaderMap, span: &Span) -> Option<String> {
    let mut values = headers.get_all(TRACEPARENT).into_iter();
    let caller = match (values.next().map(HeaderValue::to_str), values.next()) {
        (Some(Ok(traceparent)), None) => Origin::of_caller(traceparent),
        _ => Origin::default(),
    };
    caller.asked(span);
    let trace_id = Origin::of(span).trace_id().or_else(|| caller.trace_id())?;
    span.record("trace_id", &trace_id);
    Some(trace_id)
}

async fn answer(route: Route, request: Request, next: Next) -> Response {
    let refused =
        check_head(request.uri(), request.headers()).and_then(|()| check_acceptable(route, request.headers()));
    let (request, leftover) = linger::watch(request);
    let response = match refused {
        Ok(()) => next.run(request).await,
        Err(error) => Rejection::from(error).into_response(),
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        leftover.drain().await;
    }
    response
}

/// As HTTP/1.1 would have written it.
fn check_head(uri: &Uri, headers: &HeaderMap) -> Result<()> {
    if 1 < headers.get_all(header::HOST).iter().count() {
        return Err(Error::invalid("the Host header is given more than once; send one"));
    }
    let target = uri.path().len() + uri.query().map_or(0, str::len);
    let bytes = headers.iter().fold(target, |sum, (name, value)| sum + name.as_str().len() + value.len() + 4);
    if bytes <= limits::HEADER_BYTES_MAX {
        return Ok(());
    }
    let max = limits::HEADER_BYTES_MAX;
    Err(Error::new(
        Code::TooLarge,
        format!("the address and the headers have {bytes} bytes together; the limit is {max}"),
    ))
}

fn record(app: &App, route: Route, error: &Error) {
    let (code, message, detail) = (error.code(), error.message(), error.detail());
    if let Some(limit) = limit_of(code, route) {
        app.metrics.limit_reached(limit);
    }
    match (code == Code::Internal, detail) {
        (true, detail) => tracing::error!(%code, detail, "request failed"),
        (false, Some(detail)) => tracing::warn!(%code, message, detail, "request refused"),
        (false, None) => tracing::debug!(%code, message, "request refused"),
    }
}

/// The limit that a refusal means, as far as code and route say it.
fn limit_of(code: Code, route: Route) -> Option<Limit> {
    match (code, route) {
        (Code::TooLarge, Route::FileList | Route::FileWatch) => None,
        (Code::TooLarge, Route::Upload | Route::Files | Route::FileArchive) => Some(Limit::UploadBytes),
        (Code::TooLarge, _) => Some(Limit::JsonBody),
        (Code::RequestTimeout, _) => Some(Limit::BodyIdle),
        (Code::QuotaExceeded, _) => Some(Limit::Quota),
        _ => None,
    }
}

fn add_headers(headers: &mut HeaderMap, request_id: &str, trace_id: Option<&str>) {
    for (name, id) in [(X_REQUEST_ID, Some(request_id)), (X_TRACE_ID, trace_id)] {
        if let Some(value) = id.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
