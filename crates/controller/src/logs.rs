//! What happened, in order: events, and in their place the output of executions, line by line.

use sentinal_auth::{Permit, ReadLogs};
use sentinal_model::{Error, EventName, Result, SandboxId, Stream};
use sentinal_store::{EventRecord, ExecutionRecord};
use tokio::sync::watch;

use crate::{
    api::{Controller, EventQuery, LogEntry, LogQuery},
    output::{OutputPart, read_record},
};

/// Output of one stream that appears in the log; the rest is read from the execution.
const LOG_OUTPUT_BYTES_MAX: u64 = 256 * 1024;

/// Longest line of the log.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Events read from the store at a time.
const EVENTS_PER_READ: u32 = 256;

impl Controller {
    /// Events as they are kept, oldest first.
    pub async fn events(&self, permit: &Permit<ReadLogs>, query: EventQuery) -> Result<Vec<EventRecord>> {
        let EventQuery { sandbox, after, rows_max } = query;
        self.context.store().events(permit.tenant(), sandbox, after, rows_max).await
    }

    /// The cursor of the newest event; 0 if there is none.
    pub async fn last_event(&self, permit: &Permit<ReadLogs>) -> Result<i64> {
        let newest = self.context.store().last_event(permit.tenant()).await?;
        Ok(newest.map_or(0, |record| record.cursor))
    }

    /// Changes when there may be events, and lines of logs, that were not there when this was called: of one sandbox, or
    /// of all of the tenant.
    pub fn news(&self, permit: &Permit<ReadLogs>, sandbox: Option<SandboxId>) -> watch::Receiver<()> {
        self.context.news.subscribe(permit.tenant().clone(), sandbox)
    }

    /// What happened, oldest first.
    pub async fn logs(&self, permit: &Permit<ReadLogs>, query: LogQuery) -> Result<Vec<LogEntry>> {
        let mut at = query.after.as_deref().map_or(Ok(Cursor::START), Cursor::parse)?;
        let rows_max = usize::try_from(query.rows_max).unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        while entries.len() < rows_max {
            let events = self.context.store().events(permit.tenant(), query.sandbox, at.event, EVENTS_PER_READ).await?;
            if events.is_empty() {
                break;
            }
            for event in events {
                let skip = at.lines_of(&event);
                entries.extend(self.entries(&event, &query).await?.into_iter().skip(skip));
                at = Cursor { event: event.cursor, lines: None };
                if entries.len() >= rows_max {
                    break;
                }
            }
        }
        entries.truncate(rows_max);
        Ok(entries)
    }

    /// The entries that one event makes.
    async fn entries(&self, record: &EventRecord, query: &LogQuery) -> Result<Vec<LogEntry>> {
        if query.since.is_some_and(|since| record.event.at < since) {
            return Ok(Vec::new());
        }
        let wanted = |kind: &str| query.kind.as_deref().is_none_or(|wanted| wanted == kind);
        let mut lines = Vec::new();
        if wanted("execution")
            && record.event.name == EventName::ExecutionCompleted.as_str()
            && let Some(id) = record.event.execution
            && let Some(execution) = self.context.store().execution(id).await?
        {
            lines = self.output_lines(&execution).await?;
        }
        let event =
            wanted(&record.event.kind).then(|| (None, format!("{}: {}", record.event.name, record.event.message)));
        let entry = |(index, (stream, message, kind)): (usize, (Option<Stream>, String, &str))| LogEntry {
            cursor: Cursor { event: record.cursor, lines: Some(index + 1) }.to_string(),
            time: record.event.at,
            kind: kind.to_owned(),
            sandbox: record.event.sandbox,
            execution: record.event.execution,
            stream,
            message,
        };
        let lines = lines.into_iter().map(|(stream, line)| (Some(stream), line, "execution"));
        let event = event.into_iter().map(|(stream, message)| (stream, message, record.event.kind.as_str()));
        Ok(lines.chain(event).enumerate().map(entry).collect())
    }

    async fn output_lines(&self, execution: &ExecutionRecord) -> Result<Vec<(Stream, String)>> {
        let files = self.context.outputs().as_ref();
        let mut lines = Vec::new();
        for stream in Stream::ALL {
            let part = OutputPart { stream, offset: 0, bytes_max: LOG_OUTPUT_BYTES_MAX };
            let bytes = read_record(execution, files, part).await?;
            let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let pieces = text.split(|byte| *byte == b'\n').flat_map(pieces);
            lines.extend(
                pieces.filter(|_| !bytes.is_empty()).map(|line| (stream, String::from_utf8_lossy(line).into_owned())),
            );
        }
        Ok(lines)
    }
}

/// A line in pieces of bounded length; an empty line is one empty piece.
fn pieces(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let empty = line.is_empty().then_some(line);
    empty.into_iter().chain(line.chunks(LINE_BYTES_MAX))
}

/// A place in the log: after so many entries of the event that follows `event`, or after all of `event`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    event: i64,
    lines: Option<usize>,
}

impl Cursor {
    const START: Self = Self { event: 0, lines: None };

    /// Parses what callers were given: `event.lines`. Reading goes on in the middle of that event.
    fn parse(text: &str) -> Result<Self> {
        let parsed = text.split_once('.').and_then(|(event, lines)| {
            let event: i64 = event.parse().ok().filter(|event| *event > 0)?;
            Some(Self { event: event - 1, lines: Some(lines.parse().ok()?) })
        });
        parsed
            .ok_or_else(|| Error::invalid("cursor: not one that this server gave; leave it out to begin at the start"))
    }

    /// How many entries of this event were given already.
    fn lines_of(&self, event: &EventRecord) -> usize {
        self.lines.filter(|_| event.cursor == self.event + 1).unwrap_or(0)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.event, self.lines.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_on_in_the_middle_of_its_event() {
        let cursor = Cursor::parse("7.3").unwrap();
        assert_eq!(cursor, Cursor { event: 6, lines: Some(3) });
    }

    #[test]
    fn a_cursor_of_another_shape_is_refused() {
        for text in ["", "7", "x.1", "-1.0", "0.1", "7.-1", "7.x", "99999999999999999999.1"] {
            assert!(Cursor::parse(text).is_err(), "{text}");
        }
    }
}
