//! Signals and standard input for programs that run.

use axum::{Json, body::Body, extract::State};
use sentinal_api::{Execution, SendSignal, StdinGiven};
use sentinal_auth::{ControlExecution, ReadExecution};
use sentinal_model::{Code, Error, ExecutionId, StdinPart};

use crate::{
    App,
    answer::Reply,
    openapi::{Binary, Problems},
    present,
    request::{Allowed, Asked, Id, Valid, chunks, length_hint, limited},
};

/// Send a signal to an execution
///
/// To the program and all it has started, but for what went into a session of its own. `conflict` once it has ended.
#[utoipa::path(post, operation_id = "signalExecution", path = "/api/v1/execution/{id}/signal", tag = "execution",
    params(("id" = String, Path, description = "The execution's id")), request_body = SendSignal,
    responses((status = 200, description = "Sent; the execution as it was then", body = Execution), Problems))]
pub(crate) async fn signal(
    State(app): State<App>,
    Allowed(permit): Allowed<ControlExecution>,
    Allowed(read): Allowed<ReadExecution>,
    Id(id): Id<ExecutionId>,
    Valid(body): Valid<SendSignal>,
) -> Reply<Json<Execution>> {
    app.controller.signal(&permit, id, body.number()?).await?;
    let record = app.controller.execution(&read, id).await?;
    Ok(Json(present::execution(&record)))
}

/// Send standard input to an execution
///
/// The body's bytes, as fast as the program reads, if it was started with `stdin_open`. With `offset` bytes that it has
/// been given already are left out, so that sending them again does no harm; a body without bytes changes nothing and
/// tells how much it has been given. `conflict` once its standard input is closed or it has ended.
#[utoipa::path(post, operation_id = "writeStdin", path = "/api/v1/execution/{id}/stdin", tag = "execution",
    params(("id" = String, Path, description = "The execution's id"),
        ("offset" = Option<u64>, Query, description = "Of the first byte; after all that was sent before unless told"),
        ("end" = Option<bool>, Query, description = "Closes standard input after these bytes")),
    request_body(content = Binary, content_type = "application/octet-stream"),
    responses((status = 200, description = "The program has been given them", body = StdinGiven), Problems))]
pub(crate) async fn stdin(
    State(app): State<App>,
    Allowed(permit): Allowed<ControlExecution>,
    Id(id): Id<ExecutionId>,
    Asked(part): Asked<StdinPart>,
    body: Body,
) -> Reply<Json<StdinGiven>> {
    let max = app.limits.upload_bytes;
    if max < length_hint(&body) {
        return Err(too_large(max).into());
    }
    let bytes = limited(chunks(body), max, move || too_large(max));
    let offset = app.controller.write_stdin(&permit, id, part, bytes).await?;
    Ok(Json(StdinGiven { offset }))
}

fn too_large(max: u64) -> Error {
    Error::new(Code::TooLarge, format!("standard input: more than {max} bytes at once; send it in several parts"))
}
