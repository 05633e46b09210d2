//! Server-sent events, as the WHATWG HTML standard reads them, within limits.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::BytesMut;
use reqwest::Response;
use sentinal_api::Problem;

use crate::failure::Failure;

/// A stream says something at least every 15 s; one that is silent for so long is dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// One event: more than a server sends.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// One event.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: String,
}

/// Events as they come.
#[derive(Debug)]
pub(crate) struct Events {
    response: Response,
    reader: Reader,
}

impl Events {
    pub(super) fn new(response: Response) -> Self {
        Self { response, reader: Reader::default() }
    }

    /// The next event; `None` when the stream has ended. One named `error` is the failure that it tells.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.reader.event() {
                return if event.name == "error" { Err(told(&event)) } else { Ok(Some(event)) };
            }
            let piece = tokio::time::timeout(SILENCE_MAX, self.response.chunk()).await;
            let piece = piece.context("the server has gone silent")?.map_err(Failure::Broken)?;
            let Some(piece) = piece else { return Ok(None) };
            self.reader.push(&piece)?;
        }
    }
}

fn told(event: &Event) -> anyhow::Error {
    match serde_json::from_str::<Problem>(&event.data) {
        Ok(problem) => Failure::Refused(Box::new(problem)).into(),
        Err(_) => anyhow::anyhow!("the stream broke off"),
    }
}

/// Bytes on their way to becoming events.
#[derive(Debug, Default)]
struct Reader {
    unread: BytesMut,
    /// How much of `unread` has been looked through for the end of a line.
    seen: usize,
    event: Event,
}

impl Reader {
    fn push(&mut self, piece: &[u8]) -> Result<()> {
        ensure!(
            self.unread.len() + self.event.data.len() <= EVENT_BYTES_MAX,
            "the server sent an event over the limit"
        );
        self.unread.extend_from_slice(piece);
        Ok(())
    }

    /// The next whole event.
    fn event(&mut self) -> Option<Event> {
        while let Some(line) = self.line() {
            if !line.is_empty() {
                self.field(&line);
                continue;
            }
            let event = std::mem::take(&mut self.event);
            if !event.data.is_empty() {
                return Some(event);
            }
        }
        None
    }

    fn line(&mut self) -> Option<String> {
        let end = self.unread.iter().skip(self.seen).position(|&byte| byte == b'\n');
        let Some(end) = end.map(|end| end + self.seen) else {
            self.seen = self.unread.len();
            return None;
        };
        let line = self.unread.split_to(end + 1);
        self.seen = 0;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        Some(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned())
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event.name),
            "id" => value.clone_into(&mut self.event.id),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment, or a field that is not known yet.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> Vec<Event> {
        let mut reader = Reader::default();
        let mut events = Vec::new();
        for piece in pieces {
            reader.push(piece.as_bytes()).unwrap();
            events.extend(std::iter::from_fn(|| reader.event()));
        }
        events
    }

    fn event(name: &str, id: &str, data: &str) -> Event {
        Event { name: name.to_owned(), id: id.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text =
            "event: stdout\nid: 7\ndata: {\"a\": 1}\n\n: keep-alive\n\nevent: result\r\ndata: x\r\ndata: y\r\n\r\n";
        let expected = [event("stdout", "7", "{\"a\": 1}"), event("result", "", "x\ny")];
        assert_eq!(read(&[text]), expected);
        let single: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(read(&single.iter().map(String::as_str).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn an_event_has_a_largest_size() {
        let mut reader = Reader::default();
        let pushed = (0..10).try_for_each(|_| reader.push(&vec![b'x'; 1 << 20]));
        assert!(pushed.is_err());
    }
}
