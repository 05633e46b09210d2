//! Failures: the only place that knows status numbers.

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use sentinal_api::Problem;
use sentinal_model::{Code, Error};

/// What most handlers answer.
pub(crate) type Reply<T> = std::result::Result<T, Rejection>;

/// A request that failed. Its body is written by [`super::finish`], which knows the request's id.
#[derive(Debug)]
pub(crate) struct Rejection(Error);

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl Rejection {
    /// The same with other words.
    pub(crate) fn explained(self, explain: impl FnOnce(Error) -> Error) -> Self {
        Self(explain(self.0))
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status_of(self.0.code());
        response.extensions_mut().insert(self.0);
        response
    }
}

/// The status of each code.
pub(crate) const fn status_of(code: Code) -> StatusCode {
    match code {
        Code::InvalidRequest => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::Conflict => StatusCode::CONFLICT,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::RateLimited | Code::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::NotSupported => StatusCode::NOT_IMPLEMENTED,
        Code::NoCapacity | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Turns `response` into the problem that `error` is.
pub(super) fn write_problem(response: &mut Response, error: &Error, request_id: &str) {
    *response.body_mut() = Body::from(problem_bytes(error, request_id));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if error.code() == Code::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(after) = retry_after(error.code()) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
    }
}

/// The body of a problem.
pub(crate) fn problem_bytes(error: &Error, request_id: &str) -> Vec<u8> {
    let status = status_of(error.code()).as_u16();
    let problem = Problem::new(error.code(), status, error.message().to_owned(), request_id.to_owned());
    serde_json::to_vec(&problem).unwrap_or_default()
}

/// When trying again may help.
const fn retry_after(code: Code) -> Option<Duration> {
    match code {
        Code::RateLimited => Some(Duration::from_secs(1)),
        Code::QuotaExceeded | Code::NoCapacity | Code::Unavailable => Some(Duration::from_secs(5)),
        Code::InvalidRequest
        | Code::Unauthenticated
        | Code::Forbidden
        | Code::NotFound
        | Code::MethodNotAllowed
        | Code::NotAcceptable
        | Code::RequestTimeout
        | Code::Conflict
        | Code::TooLarge
        | Code::RangeNotSatisfiable
        | Code::UnsupportedMediaType
        | Code::Internal
        | Code::NotSupported => None,
    }
}
