//! An execution's output as bytes.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures::{StreamExt as _, future, stream, stream::BoxStream};
use http::header;
use sentinal_api::{OutputQuery, StreamName};
use sentinal_auth::{Permit, ReadExecution};
use sentinal_controller::{OutputEvent, OutputPart};
use sentinal_model::{ExecutionId, Result, Stream};

use crate::{
    App, Offsets,
    answer::Reply,
    openapi::{Binary, Problems},
    request::{Allowed, Asked, Id},
    stream::{Kind, body},
};

/// Bytes of one piece.
const PIECE_BYTES: u64 = 64 * 1024;

/// Read an execution's output
///
/// The stored bytes of one stream, from an offset on. With `follow` the answer goes on until the program has ended;
/// one that is cut off before that is not complete.
#[utoipa::path(get, operation_id = "readOutput", path = "/api/v1/execution/{id}/output", tag = "execution",
    params(("id" = String, Path, description = "The execution's id"),
        ("stream" = Option<StreamName>, Query, description = "`stdout` unless told"),
        ("offset" = Option<u64>, Query, description = "From this byte on; 0 unless told"),
        ("follow" = Option<bool>, Query, description = "Whether to go on until the end")),
    responses((status = 200, description = "The bytes", content_type = "application/octet-stream", body = Binary), Problems))]
pub(crate) async fn output(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadExecution>,
    Id(id): Id<ExecutionId>,
    Asked(query): Asked<OutputQuery>,
) -> Reply<Response> {
    let body = if query.follow {
        body(&app, Kind::Follow, followed(&app, &permit, id, query).await?)
    } else {
        body(&app, Kind::File, stored(&app, permit, id, query).await?)
    };
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

type Pieces = BoxStream<'static, Result<Bytes>>;

/// What is there now. The first piece is read before anything is answered: it may not be found.
async fn stored(app: &App, permit: Permit<ReadExecution>, id: ExecutionId, query: OutputQuery) -> Result<Pieces> {
    let part = OutputPart { stream: query.stream, offset: query.offset, bytes_max: PIECE_BYTES };
    let first = app.controller.output(&permit, id, part).await?;
    let next = query.offset.saturating_add(length(&first));
    let rest = stream::try_unfold((app.clone(), permit, next), move |(app, permit, offset)| async move {
        let piece = app.controller.output(&permit, id, OutputPart { offset, ..part }).await?;
        let next = offset.saturating_add(length(&piece));
        Ok((!piece.is_empty()).then_some((piece, (app, permit, next))))
    });
    let is_all = first.is_empty();
    let rest = if is_all { stream::empty().boxed() } else { rest.boxed() };
    Ok(stream::iter([Ok(first)]).chain(rest).boxed())
}

async fn followed(app: &App, permit: &Permit<ReadExecution>, id: ExecutionId, query: OutputQuery) -> Result<Pieces> {
    // The other stream from beyond its end: not a byte of it is read.
    let offsets = match query.stream {
        Stream::Stdout => Offsets { stdout: query.offset, stderr: u64::MAX },
        Stream::Stderr => Offsets { stdout: u64::MAX, stderr: query.offset },
    };
    let events = app.controller.follow(permit, id, offsets).await?;
    let wanted = query.stream;
    let pieces = events.filter_map(move |event| {
        future::ready(match event {
            Ok(OutputEvent::Output { stream, data, .. }) if stream == wanted => Some(Ok(data)),
            Ok(OutputEvent::Output { .. } | OutputEvent::Finished(_)) => None,
            Err(error) => Some(Err(error)),
        })
    });
    Ok(pieces.boxed())
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
