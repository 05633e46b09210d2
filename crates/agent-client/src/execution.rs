//! Starting and following executions over one connection.

use std::time::Duration;

use bytes::Bytes;
use sentinal_agent_protocol::v1::{self, ended::How, execution_event::Event};
use sentinal_model::{Command, Ended, ExecutionId, ExecutionOutcome, Results, Stream, TerminalSize, Usage, limits};
use serde_json::Value;
use tonic::Streaming;

use crate::{agent::answer, connection::Connection, error::AgentError};

// What a row takes is never acknowledged before the end: all of it must fit into what an agent holds.
const _: () = assert!(limits::OUTPUT_ROW_BYTES_MAX < sentinal_agent_protocol::OUTPUT_HELD_BYTES);

/// A program for the agent to start.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Under which id; starting the same one again follows it.
    pub id: ExecutionId,
    /// What.
    pub command: &'a Command,
}

/// What an agent tells of an execution, checked.
#[derive(Debug, Clone)]
pub enum ExecutionEvent {
    /// It was started.
    Started,
    /// Bytes of one stream.
    Output {
        /// Which stream.
        stream: Stream,
        /// Of the first byte.
        offset: u64,
        /// The bytes.
        data: Bytes,
    },
    /// The end; the last event.
    Ended(Finished),
}

/// How an execution ended, as the agent tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How, how long, and what it used.
    pub ended: Ended,
    /// How many bytes standard output had in all.
    pub stdout_bytes: u64,
    /// How many bytes standard error had in all.
    pub stderr_bytes: u64,
    /// What it made beside that.
    pub results: Results,
}

/// The events of one execution over one connection.
#[derive(Debug)]
pub struct Events {
    events: Streaming<v1::ExecutionEvent>,
}

impl Connection {
    /// Starts a program and follows it.
    pub async fn execute(&self, start: Start<'_>) -> Result<Events, AgentError> {
        let command = start.command;
        let request = v1::ExecuteRequest {
            execution_id: start.id.to_string(),
            stdin: command.stdin.clone(),
            stdin_open: command.stdin_open,
            timeout_ms: millis(command.timeout),
            terminal: command.terminal.map(size),
            ..program(command)
        };
        let events = answer(self.client().execute(request)).await?;
        Ok(Events { events })
    }

    /// Follows an execution from byte offsets.
    pub async fn attach(&self, id: ExecutionId, stdout_offset: u64, stderr_offset: u64) -> Result<Events, AgentError> {
        let request = v1::AttachRequest { execution_id: id.to_string(), stdout_offset, stderr_offset };
        let events = answer(self.client().attach(request)).await?;
        Ok(Events { events })
    }

    /// Tells the agent that output up to these offsets is safe.
    pub async fn acknowledge(&self, id: ExecutionId, stdout_offset: u64, stderr_offset: u64) -> Result<(), AgentError> {
        let request = v1::AcknowledgeRequest { execution_id: id.to_string(), stdout_offset, stderr_offset };
        answer(self.client().acknowledge(request)).await.map(drop)
    }
}

impl Events {
    /// The next event; [`AgentError::Disconnected`] when the stream ends before the execution does. Waits as long
    /// as the program is silent.
    pub async fn next(&mut self) -> Result<ExecutionEvent, AgentError> {
        loop {
            let message = self.events.message().await?.ok_or(AgentError::Disconnected)?;
            if let Some(event) = message.event.and_then(checked) {
                return Ok(event);
            }
        }
    }
}

/// What the event means; `None` for one that this version does not know.
fn checked(event: Event) -> Option<ExecutionEvent> {
    match event {
        Event::Started(_) => Some(ExecutionEvent::Started),
        Event::Output(output) => {
            let stream = match output.stream() {
                v1::OutputStream::Stdout => Stream::Stdout,
                v1::OutputStream::Stderr => Stream::Stderr,
                v1::OutputStream::Unspecified => return None,
            };
            Some(ExecutionEvent::Output { stream, offset: output.offset, data: Bytes::from(output.data) })
        }
        Event::Ended(ended) => {
            let outcome = match ended.how? {
                How::ExitCode(code) => ExecutionOutcome::Exited(code),
                How::Signal(signal) => ExecutionOutcome::Signaled(signal),
                How::TimedOut(_) => ExecutionOutcome::Timeout,
            };
            let usage = Usage { cpu_us: ended.cpu_us, memory_peak_bytes: ended.memory_peak_bytes };
            let ended_ = Ended { outcome, duration_us: ended.duration_us, usage };
            Some(ExecutionEvent::Ended(Finished {
                ended: ended_,
                stdout_bytes: ended.stdout_bytes,
                stderr_bytes: ended.stderr_bytes,
                results: results(&ended.results, ended.results_truncated),
            }))
        }
    }
}

/// Those that are JSON objects, written anew: what a guest says is not taken at its word.
fn results(said: &[Vec<u8>], is_truncated: bool) -> Results {
    let object = |bytes: &Vec<u8>| serde_json::from_slice::<Value>(bytes).ok().filter(Value::is_object);
    let items: Vec<String> = said.iter().filter_map(object).map(|object| object.to_string()).collect();
    let is_truncated = is_truncated || items.len() < said.len();
    Results { items, is_truncated }
}

/// What is to be run, by itself or in a context.
pub(crate) fn program(command: &Command) -> v1::ExecuteRequest {
    let variable = |(name, value): &(String, String)| v1::Variable { name: name.clone(), value: value.clone() };
    let run = v1::ExecuteRequest {
        env: command.env.iter().map(variable).collect(),
        cwd: command.cwd.as_ref().map(|path| path.as_str().to_owned()).unwrap_or_default(),
        user: Some(v1::User { name: command.user.clone().unwrap_or_default() }),
        processes_max: limits::PROCESSES_MAX.into(),
        open_files_max: limits::OPEN_FILES_MAX,
        ..v1::ExecuteRequest::default()
    };
    match command.context {
        None => v1::ExecuteRequest { argv: command.argv.clone(), ..run },
        Some(id) => {
            let code = command.argv.first().cloned().unwrap_or_default();
            v1::ExecuteRequest { context_id: id.to_string(), code: code.into_bytes(), ..run }
        }
    }
}

pub(crate) fn size(size: TerminalSize) -> v1::TerminalSize {
    v1::TerminalSize { columns: size.columns.into(), rows: size.rows.into() }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
