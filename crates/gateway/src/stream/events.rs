//! Server-sent events.

use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use http::{HeaderValue, header};
use sentinal_model::{Error, Result};
use serde::Serialize;

use super::{Kind, body};
use crate::{
    App,
    answer::{RequestId, problem_bytes},
};

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    name: &'static str,
    id: Option<String>,
    data: Vec<u8>,
}

impl Event {
    /// An event with this object as its data.
    pub(crate) fn new(name: &'static str, data: &impl Serialize) -> Self {
        Self { name, id: None, data: serde_json::to_vec(data).unwrap_or_default() }
    }

    /// With what a client sends as `Last-Event-ID` when it connects again.
    pub(crate) fn with_id(self, id: String) -> Self {
        Self { id: Some(id).filter(|id| !id.contains(['\r', '\n', '\0'])), ..self }
    }

    /// The last event of a stream that broke off.
    fn failed(error: &Error, request_id: &str) -> Self {
        tracing::error!(request_id, code = %error.code(), detail = error.detail(), "stream broke off");
        Self { name: "error", id: None, data: problem_bytes(error, request_id) }
    }

    fn into_bytes(self) -> Bytes {
        let mut text = Vec::with_capacity(self.data.len() + 64);
        text.extend_from_slice(b"event: ");
        text.extend_from_slice(self.name.as_bytes());
        if let Some(id) = self.id {
            text.extend_from_slice(b"\nid: ");
            text.extend_from_slice(id.as_bytes());
        }
        // JSON on one line: there is no line break in it.
        text.extend_from_slice(b"\ndata: ");
        text.extend_from_slice(&self.data);
        text.extend_from_slice(b"\n\n");
        text.into()
    }
}

/// An answer that is these events; an error among them becomes the event `error`, the last one.
pub(crate) fn event_response(
    app: &App,
    events: BoxStream<'static, Result<Event>>,
    RequestId(request_id): RequestId,
) -> Response {
    let bytes = events.scan(false, move |failed, event| {
        let piece = (!*failed).then(|| {
            event.unwrap_or_else(|error| {
                *failed = true;
                Event::failed(&error, &request_id)
            })
        });
        futures::future::ready(piece.map(|event| Ok(event.into_bytes())))
    });
    let mut response = Response::new(body(app, Kind::Events, bytes.boxed()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
