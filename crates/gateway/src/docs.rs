//! The API's documentation as one page: made of its OpenAPI document, complete in itself, for people without a key.
//!
//! It has no script and asks nobody for anything: its policy allows its own style and nothing else, so it works without
//! a network and whatever stands in a description is text.

mod curl;
mod example;
mod html;
mod operation;
mod page;
mod schema;

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::{IntoResponse as _, Response};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderValue, header};

use crate::openapi::document;

const STYLE: &str = include_str!("docs/style.css");

/// The page, and what it may load.
struct Page {
    html: Bytes,
    policy: HeaderValue,
}

/// This API as a page to read
#[utoipa::path(get, operation_id = "docs", path = "/docs", tag = "server", security(()),
    responses((status = 200, description = "HTML, complete in itself", content_type = "text/html", body = String)))]
pub(crate) async fn serve() -> Response {
    static PAGE: LazyLock<Page> = LazyLock::new(made);
    let Page { html, policy } = &*PAGE;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy.clone()),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, html.clone()).into_response()
}

fn made() -> Page {
    let document = serde_json::from_str(&document()).unwrap_or_default();
    let style = BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // The hash is of letters that a header may have.
    let policy = HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"));
    Page { html: page::page(&document, STYLE).into(), policy }
}
