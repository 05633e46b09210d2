//! What happened, for programs: a page of it, or as it happens.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use http::HeaderMap;
use sentinal_api::{Events, EventsQuery, parse_event_cursor};
use sentinal_auth::{Permit, ReadLogs};
use sentinal_controller::{EventQuery, EventRecord};
use sentinal_model::{Result, limits};

use crate::{
    App,
    answer::{Reply, RequestId},
    openapi::{Problems, ServerSentEvent},
    present,
    request::{Allowed, Asked, Format, format_wanted, last_event_id},
    stream::{Event, event_response, pages},
};

/// Read the events
///
/// Oldest first, as long as they are kept. With `follow`, or with `Accept: text/event-stream`, they come as events
/// `event` as they happen, from now on or after `cursor`; `Last-Event-ID` goes on where a stream broke off. None is left
/// out, and none comes twice.
#[utoipa::path(get, operation_id = "readEvents", path = "/api/v1/events", tag = "log",
    params(("sandbox_id" = Option<String>, Query, description = "Of this sandbox only"),
        ("cursor" = Option<String>, Query, description = "After the event with this cursor; 0 is the beginning"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 1000; 100 unless told"),
        ("follow" = Option<bool>, Query, description = "Whether to go on with events as they come")),
    responses((status = 200, description = "A page, or events", content((Events = "application/json"), (ServerSentEvent = "text/event-stream"))), Problems))]
pub(crate) async fn events(
    State(app): State<App>,
    Allowed(permit): Allowed<ReadLogs>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Asked(query): Asked<EventsQuery>,
) -> Reply<Response> {
    if query.follow || format_wanted(&headers) == Format::Events {
        let last = last_event_id(&headers).map(|id| parse_event_cursor("Last-Event-ID", &id)).transpose()?;
        let query = EventsQuery { cursor: last.or(query.cursor), ..query };
        return Ok(event_response(&app, followed(&app, permit, &query).await?, request_id));
    }
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let asked =
        EventQuery { sandbox: query.sandbox, after: query.cursor.unwrap_or_default(), rows_max: query.limit + 1 };
    let mut records = app.controller.events(&permit, asked).await?;
    let has_more = limit < records.len();
    records.truncate(limit);
    let next = records.last().filter(|_| has_more).map(|record| record.cursor.to_string());
    Ok(Json(Events { items: records.into_iter().map(present::event).collect(), next }).into_response())
}

async fn followed(
    app: &App,
    permit: Permit<ReadLogs>,
    query: &EventsQuery,
) -> Result<BoxStream<'static, Result<Event>>> {
    // Told of whatever comes after this, however long it takes to find out where to begin.
    let news = app.controller.news(&permit, query.sandbox);
    let after = match query.cursor {
        Some(cursor) => cursor,
        None => app.controller.last_event(&permit).await?,
    };
    let (app, permit, sandbox) = (app.clone(), Arc::new(permit), query.sandbox);
    let read = move |after| {
        let (app, permit) = (app.clone(), Arc::clone(&permit));
        async move {
            let asked = EventQuery { sandbox, after, rows_max: limits::PAGE_ROWS_MAX };
            let records = app.controller.events(&permit, asked).await?;
            let behind = records.last().map_or(after, |last| last.cursor);
            Ok((records, behind))
        }
    };
    Ok(pages(after, news, read).map_ok(event).boxed())
}

fn event(record: EventRecord) -> Event {
    let id = record.cursor.to_string();
    Event::new("event", &present::event(record)).with_id(id)
}
