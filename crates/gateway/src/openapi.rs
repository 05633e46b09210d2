//! The description of the API: made from the handlers, checked in as `docs/openapi.json`, served.

mod examples;

use std::{collections::BTreeMap, sync::LazyLock};

use axum::response::{IntoResponse as _, Response as Answer};
use bytes::Bytes;
use http::header;
use sentinal_api::Problem;
use sentinal_model::Code;
use utoipa::{
    IntoParams, IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Server,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{
    answer::status_of,
    docs,
    handler::{
        archive, context, control, download, engine, events, execute, execution, files, folder, health, image,
        image_build, key, link, logs, metrics, output, port, sandbox, terminal, tunnel, upload, usage, watch, webhook,
    },
};

#[derive(OpenApi)]
#[openapi(
    info(title = "SENTINAL", description = "Runs code that nobody trusts, and gives back its results."),
    paths(
        sandbox::create, sandbox::list, sandbox::read, sandbox::stats, sandbox::update, sandbox::destroy, sandbox::pause, sandbox::resume,
        upload::upload, download::download,
        files::read, files::write, files::remove, folder::stat, folder::list, folder::make, folder::rename,
        archive::read, archive::write, watch::watch,
        execute::execute, execution::list, execution::read, output::output, control::signal, control::stdin, context::create, context::list, context::remove,
        terminal::open, terminal::resize, tunnel::open, link::create, port::proxy,
        image::list, image::read, image::remove, image::import, image::pull, image::jobs, image::job, image::cancel, image::prune,
        image_build::build, image_build::log,
    key::create, key::list, key::own, key::read, key::revoke, usage::quota, usage::usage, webhook::create, webhook::deliveries, webhook::list, webhook::read, webhook::remove, webhook::test, webhook::update,
        logs::logs, events::events, engine::list,
        health::health, health::livez, health::readyz, metrics::metrics, serve, docs::serve,
    ),
    components(schemas(Problem, sentinal_api::ExecutionStarted, sentinal_api::OutputChunk, sentinal_api::LogItem, sentinal_api::FileEventData, sentinal_api::TerminalRequest)),
    tags(
        (name = "sandbox", description = "Where programs run"),
        (name = "file", description = "Files into sandboxes and out of them"),
        (name = "execution", description = "Programs and their results"),
        (name = "image", description = "What sandboxes are made of"),
        (name = "port", description = "What listens inside a sandbox"),
        (name = "key", description = "Who may do what"),
        (name = "usage", description = "What was used, and what may be"),
        (name = "webhook", description = "Events, delivered"),
        (name = "log", description = "What happened"),
        (name = "server", description = "The server itself"),
    ),
    security(("api_key" = [])),
    modifiers(&Finish),
)]
struct Document;

/// The OpenAPI 3.1 document, as it is checked in.
pub fn document() -> String {
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// This document
#[utoipa::path(get, operation_id = "openapi", path = "/openapi.json", tag = "server", security(()),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object)))]
pub(crate) async fn serve() -> Answer {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().into());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone()).into_response()
}

/// A form with files. The fields come before the files.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: a form is read as it comes")]
pub(crate) struct UploadForm {
    /// The sandbox's id.
    sandbox_id: String,
    /// A folder, or the path of the one file; the user's home unless told.
    path: Option<String>,
    /// The files, each with its name.
    file: Vec<Binary>,
}

/// What makes it safe to send a request again.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only described: the header is read as it comes")]
pub(crate) struct IdempotencyKey {
    /// 1 to 255 visible characters, such as a UUID. The same request with the same key makes nothing more: it is
    /// answered with what it made before, and `Idempotent-Replayed: true`. Another request with it is a `conflict`.
    /// Kept for the retention time.
    #[param(rename = "Idempotency-Key", required = false)]
    idempotency_key: String,
}

/// One of the events of a stream, as its lines say it (HTML, section 9.2).
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: events are written as they come")]
pub(crate) struct ServerSentEvent {
    /// Its name.
    event: String,
    /// Where to go on after it, as `Last-Event-ID`.
    id: Option<String>,
    /// A JSON object.
    data: String,
}

/// Bytes as they are.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only described: bytes are sent and read as they come")]
pub(crate) struct Binary(Vec<u8>);

/// What every route may answer when something goes wrong.
pub(crate) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let codes = [
            (Code::InvalidRequest, "Can never work as asked; the detail names the field"),
            (Code::Unauthenticated, "No API key, or a wrong one"),
            (Code::Forbidden, "The key's role, or the policy, does not allow it"),
            (Code::NotFound, "Not there, or not yours to know"),
            (Code::NotAcceptable, "No kind of answer that the caller takes"),
            (Code::RequestTimeout, "The body made no progress"),
            (Code::Conflict, "Not possible in the state it is in"),
            (Code::TooLarge, "Over a limit on size"),
            (Code::RangeNotSatisfiable, "The file has no such part; Content-Range says its size"),
            (Code::UnsupportedMediaType, "A body of a kind that is not read here"),
            (Code::QuotaExceeded, "Too many requests, or a quota is used up; see Retry-After"),
            (Code::Internal, "The server's own fault; the request id finds it in the log"),
            (Code::NotSupported, "Not on this engine"),
            (Code::Unavailable, "No capacity now, or a part that is needed is down; see Retry-After"),
        ];
        codes.into_iter().map(|(code, text)| (status_of(code).as_str().to_owned(), problem(text))).collect()
    }
}

fn problem(description: &str) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build().into()
}

struct Finish;

impl Modify for Finish {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        document.servers = Some(vec![Server::new("http://localhost:8080")]);
        examples::add(document);
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key")).build();
        if let Some(components) = &mut document.components {
            components.add_security_scheme("api_key", SecurityScheme::Http(scheme));
        }
    }
}
