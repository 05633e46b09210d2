//! An error as callers see it: RFC 9457.

use std::borrow::Cow;

use sentinal_model::Code;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong, as `application/problem+json`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Names the code as a URI.
    #[serde(rename = "type")]
    #[schema(example = "urn:sentinal:problem:invalid_request")]
    pub kind: String,
    /// The code in words.
    #[schema(example = "Invalid Request")]
    pub title: Cow<'static, str>,
    /// The HTTP status, again.
    #[schema(example = 400)]
    pub status: u16,
    /// What kind of failure it is, from a closed set.
    #[schema(value_type = crate::ProblemCode, example = "invalid_request")]
    pub code: Cow<'static, str>,
    /// What was wrong and what to do.
    #[schema(example = "memory: \"2GiB\" is not a quantity")]
    pub detail: String,
    /// Finds the request in the server's log.
    #[schema(example = "req_0190f5c8e4b07c3e9f6a8d2b4c5e6f70")]
    pub request_id: String,
}

impl Problem {
    /// A problem of this kind, with a sentence for the caller.
    pub fn new(code: Code, status: u16, detail: String, request_id: String) -> Self {
        let kind = format!("urn:sentinal:problem:{code}");
        Self { kind, title: title(code).into(), status, code: code.as_str().into(), detail, request_id }
    }
}

const fn title(code: Code) -> &'static str {
    match code {
        Code::InvalidRequest => "Invalid Request",
        Code::Unauthenticated => "Unauthorized",
        Code::Forbidden => "Forbidden",
        Code::NotFound => "Not Found",
        Code::MethodNotAllowed => "Method Not Allowed",
        Code::NotAcceptable => "Not Acceptable",
        Code::RequestTimeout => "Request Timeout",
        Code::Conflict => "Conflict",
        Code::TooLarge => "Too Large",
        Code::RangeNotSatisfiable => "Range Not Satisfiable",
        Code::UnsupportedMediaType => "Unsupported Media Type",
        Code::RateLimited => "Rate Limit Exceeded",
        Code::QuotaExceeded => "Quota Exceeded",
        Code::Internal => "Internal Error",
        Code::NotSupported => "Not Supported",
        Code::NoCapacity => "No Capacity",
        Code::Unavailable => "Unavailable",
    }
}
