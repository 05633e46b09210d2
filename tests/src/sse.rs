//! Server-sent events, as the WHATWG HTML standard reads them, and the product's output events in them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use crate::Execution;

/// One event.
#[derive(Debug, Clone, Default)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its id; empty if it has none.
    pub id: String,
    /// Its data.
    pub data: String,
}

/// Events as they come.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    unread: Vec<u8>,
    deadline: Duration,
}

/// What an output event carries.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Chunk {
    offset: u64,
    data: String,
    #[serde(default)]
    encoding: String,
}

/// Output collected from events; refuses a hole and a repetition.
#[derive(Debug, Default, Clone)]
pub struct Followed {
    /// Standard output so far.
    pub stdout: Vec<u8>,
    /// Standard error so far.
    pub stderr: Vec<u8>,
    /// The names of the output events in order.
    pub order: Vec<&'static str>,
    /// The end, when it has come.
    pub finished: Option<Execution>,
    /// The execution's id, when it has come.
    pub execution: Option<String>,
}

impl EventStream {
    pub(crate) const fn new(body: Incoming, deadline: Duration) -> Self {
        Self { body, unread: Vec::new(), deadline }
    }

    /// The next event; `None` is the end of the stream.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.take_event()? {
                return Ok(Some(event));
            }
            let frame = timeout(self.deadline, self.body.frame()).await.context("no event in time")?;
            let Some(frame) = frame else {
                ensure!(self.unread.is_empty(), "the stream ended within an event");
                return Ok(None);
            };
            if let Ok(data) = frame.context("the stream was cut off")?.into_data() {
                self.unread.extend_from_slice(&data);
            }
        }
    }

    /// A complete event from what was read; comments and keep-alives are passed over.
    fn take_event(&mut self) -> Result<Option<Event>> {
        while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = self.unread.drain(..end + 2).collect();
            let block = String::from_utf8(block).context("an event is UTF-8")?;
            let mut event = Event::default();
            let mut data: Vec<&str> = Vec::new();
            for line in block.lines() {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "event" => value.clone_into(&mut event.name),
                    "id" => value.clone_into(&mut event.id),
                    "data" => data.push(value),
                    _ => {}
                }
            }
            if !data.is_empty() || !event.name.is_empty() {
                event.data = data.join("\n");
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

impl Chunk {
    /// Its bytes.
    fn bytes(&self) -> Result<Vec<u8>> {
        if self.encoding == "base64" {
            return base64::engine::general_purpose::STANDARD.decode(&self.data).context("base64");
        }
        Ok(self.data.clone().into_bytes())
    }
}

impl Followed {
    /// Adds one event. Answers whether it was the last.
    pub fn take(&mut self, event: &Event) -> Result<bool> {
        match event.name.as_str() {
            "stdout" => self.append("stdout", event)?,
            "stderr" => self.append("stderr", event)?,
            "execution" => {
                let started: Value = serde_json::from_str(&event.data)?;
                self.execution = started["id"].as_str().map(str::to_owned);
            }
            "result" => {
                self.finished = Some(serde_json::from_str(&event.data).context(event.data.clone())?);
                return Ok(true);
            }
            other => bail!("an event named {other:?}: {}", event.data),
        }
        Ok(false)
    }

    /// Reads until the end.
    pub async fn drain(&mut self, events: &mut EventStream) -> Result<()> {
        while let Some(event) = events.next().await? {
            if self.take(&event)? {
                return Ok(());
            }
        }
        bail!("the stream ended without the end of the execution")
    }

    fn append(&mut self, stream: &'static str, event: &Event) -> Result<()> {
        let chunk: Chunk = serde_json::from_str(&event.data).context(event.data.clone())?;
        let so_far = if stream == "stdout" { &mut self.stdout } else { &mut self.stderr };
        let next = u64::try_from(so_far.len())?;
        ensure!(chunk.offset == next, "{stream} goes on at {} instead of {next}", chunk.offset);
        so_far.extend(chunk.bytes()?);
        self.order.push(stream);
        Ok(())
    }
}
