//! What happened: a page of it, or as it happens.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use http::HeaderMap;
use sentinal_api::{LogKind, Logs, LogsQuery};
use sentinal_auth::{Permit, ReadLogs};
use sentinal_controller::{LogEntry, LogQuery};
use sentinal_model::{Result, limits};

use crate::{
    App,
    answer::{Reply, RequestId},
    openapi::{Problems, ServerSentEvent},
    present,
    request::{Allowed, Asked, Format, format_wanted, last_event_id},
    stream::{Event, event_response, pages},
};

/// Read the logs
///
/// Oldest first. With `follow`, or with `Accept: text/event-stream`, lines come as events `log` as they are written;
/// `Last-Event-ID` goes on where a stream broke off.
#[utoipa::path(get, operation_id = "readLogs", path = "/api/v1/logs", tag = "log",
    params(("sandbox_id" = Option<String>, Query, description = "Of this sandbox only"),
        ("kind" = Option<LogKind>, Query, description = "Of this log only"),
        ("since" = Option<String>, Query, description = "Not before this moment (RFC 3339)"),
        ("cursor" = Option<String>, Query, description = "What `next` of the page before said"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 1000; 100 unless told"),
        ("follow" = Option<bool>, Query, description = "Whether to go on with lines as they come")),
    responses((status = 200, description = "A page, or events", content((Logs = "application/json"), (ServerSentEvent = "text/event-stream"))), Problems))]
pub(crate) async fn logs(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadLogs>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Asked(query): Asked<LogsQuery>,
) -> Reply<Response> {
    if query.follow || format_wanted(&headers) == Format::Events {
        return Ok(event_response(&app, followed(&app, permit, with_last_event(query, &headers)).await?, request_id));
    }
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let mut entries = app.controller.logs(&permit, asked(&query, query.limit + 1)).await?;
    let has_more = limit < entries.len();
    entries.truncate(limit);
    let next = entries.last().filter(|_| has_more).map(|entry| entry.cursor.clone());
    Ok(Json(Logs { items: entries.into_iter().map(present::log_item).collect(), next }).into_response())
}

fn asked(query: &LogsQuery, rows_max: u32) -> LogQuery {
    LogQuery {
        sandbox: query.sandbox,
        kind: query.kind.clone(),
        after: query.cursor.clone(),
        since: query.since,
        rows_max,
    }
}

fn with_last_event(query: LogsQuery, headers: &HeaderMap) -> LogsQuery {
    LogsQuery { cursor: last_event_id(headers).or(query.cursor), ..query }
}

/// The first lines are read before anything is answered: the query may be refused.
async fn followed(app: &App, permit: Permit<ReadLogs>, query: LogsQuery) -> Result<BoxStream<'static, Result<Event>>> {
    let news = app.controller.news(&permit, query.sandbox);
    let (app, permit) = (app.clone(), Arc::new(permit));
    let read = move |query: LogsQuery| {
        let (app, permit) = (app.clone(), Arc::clone(&permit));
        async move {
            let entries = app.controller.logs(&permit, asked(&query, limits::PAGE_ROWS_MAX)).await?;
            let behind = after(query, &entries);
            Ok((entries, behind))
        }
    };
    let (first, behind) = read(query).await?;
    Ok(stream::iter(first.into_iter().map(Ok)).chain(pages(behind, news, read)).map_ok(event).boxed())
}

fn after(query: LogsQuery, entries: &[LogEntry]) -> LogsQuery {
    let cursor = entries.last().map(|entry| entry.cursor.clone()).or(query.cursor);
    LogsQuery { cursor, ..query }
}

fn event(entry: LogEntry) -> Event {
    let id = entry.cursor.clone();
    Event::new("log", &present::log_item(entry)).with_id(id)
}
