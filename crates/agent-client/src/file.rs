//! Files through the agent.

use bytes::Bytes;
use futures::{Stream, stream};
use sentinal_agent_protocol::v1;
use sentinal_model::{ByteRange, Code, FileAt, FileWrite, FileWritten, WritePlace, limits};
use tokio::time::timeout;
use tonic::Streaming;

use crate::{
    agent::{Agent, answer},
    body::{WriteError, answered, messages},
    error::AgentError,
};

/// A file, or a part of it, being read.
#[derive(Debug)]
pub struct Reading {
    /// The file's size when it was opened.
    pub size: u64,
    /// Where in the file the bytes begin and how many there are; `None` if the file has no such part.
    pub part: Option<(u64, u64)>,
    messages: Streaming<v1::ReadFileResponse>,
    first: Option<v1::ReadFileResponse>,
}

impl Agent {
    /// Writes a file. Nothing is kept of a whole one if `body` yields an error or is dropped; what was appended stays.
    pub async fn write_file<E>(
        &self,
        file: &FileWrite,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<FileWritten, WriteError<E>> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await.map_err(WriteError::Agent)?.client();
        let (messages, receiver) = messages();
        let start = v1::WriteFileStart {
            path: file.at.path.as_str().to_owned(),
            mode: file.mode.unwrap_or(0),
            user: user(&file.at),
            make_parents: file.make_parents,
        };
        let feed = messages.send_file(start, body);
        let written = match file.place {
            WritePlace::Whole => answered(client.write_file(receiver), feed).await?,
            WritePlace::End => answered(client.append_file(receiver), feed).await?,
        };
        Ok(FileWritten { bytes: written.size, size: written.file_size.max(written.size) })
    }

    /// Opens a file for reading all of it, or a part.
    pub async fn read_file(&self, file: &FileAt, range: Option<ByteRange>) -> Result<Reading, AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let (offset, from_end, length) = match range {
            None => (0, false, 0),
            Some(ByteRange::From(first)) => (first, false, 0),
            Some(ByteRange::Within(first, last)) => (first, false, last.saturating_sub(first).saturating_add(1)),
            Some(ByteRange::Last(bytes)) => (bytes, true, 0),
        };
        let path = file.path.as_str().to_owned();
        let request = v1::ReadFileRequest { path, user: user(file), offset, from_end, length };
        let mut messages = answer(client.read_file(request)).await?;
        let first = next(&mut messages).await?;
        let part = range.map_or(Some((0, first.size)), |range| range.within(first.size));
        if part.is_some_and(|(begin, _)| begin != first.offset) {
            let message = "the sandbox's agent is older than this server and reads whole files only";
            return Err(AgentError::Refused(Code::NotSupported, message.to_owned()));
        }
        Ok(Reading { size: first.size, part, messages, first: Some(first) })
    }
}

/// The next message, or why there is none.
pub(crate) async fn next(messages: &mut Streaming<v1::ReadFileResponse>) -> Result<v1::ReadFileResponse, AgentError> {
    match timeout(limits::AGENT_ANSWER_DEADLINE, messages.message()).await {
        Ok(message) => message?.ok_or(AgentError::Disconnected),
        Err(_) => Err(AgentError::Deadline),
    }
}

/// As whom.
pub(crate) fn user(file: &FileAt) -> Option<v1::User> {
    file.user.clone().map(|name| v1::User { name })
}

impl Reading {
    /// The bytes of the part; exactly as many as it has, or an error at the end.
    pub fn bytes(self) -> impl Stream<Item = Result<Bytes, AgentError>> + Send + 'static {
        let length = Length::Exactly(self.part.map_or(0, |(_, bytes)| bytes));
        stream_of(self.messages, self.first, length)
    }
}

/// How many bytes are to come.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    /// So many.
    Exactly(u64),
    /// Nobody knows, and not more than these.
    AtMost(u64),
}

/// The bytes of messages; an error at the end if they are not as many as they should be, or were cut off.
pub(crate) fn stream_of(
    messages: Streaming<v1::ReadFileResponse>,
    first: Option<v1::ReadFileResponse>,
    length: Length,
) -> impl Stream<Item = Result<Bytes, AgentError>> + Send + 'static {
    let state = State { messages, first, length, done: false };
    stream::unfold(state, |mut state| async move {
        let chunk = state.next().await?;
        Some((chunk, state))
    })
}

#[derive(Debug)]
struct State {
    messages: Streaming<v1::ReadFileResponse>,
    first: Option<v1::ReadFileResponse>,
    length: Length,
    done: bool,
}

impl State {
    async fn next(&mut self) -> Option<Result<Bytes, AgentError>> {
        while !self.done {
            match self.message().await {
                Ok(message) => {
                    self.done = message.end;
                    // More than was announced, or an end too early: the agent is not to be believed.
                    if !self.length.takes(message.data.len()) || (message.end && self.length.is_short()) {
                        return Some(self.fail());
                    }
                    if !message.data.is_empty() {
                        return Some(Ok(message.data));
                    }
                }
                Err(_) => return Some(self.fail()),
            }
        }
        None
    }

    async fn message(&mut self) -> Result<v1::ReadFileResponse, AgentError> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        next(&mut self.messages).await
    }

    const fn fail(&mut self) -> Result<Bytes, AgentError> {
        self.done = true;
        Err(AgentError::Disconnected)
    }
}

impl Length {
    /// Whether there is room for so many.
    fn takes(&mut self, bytes: usize) -> bool {
        let (Self::Exactly(left) | Self::AtMost(left)) = self;
        let rest = u64::try_from(bytes).ok().and_then(|bytes| left.checked_sub(bytes));
        *left = rest.unwrap_or(0);
        rest.is_some()
    }

    const fn is_short(self) -> bool {
        matches!(self, Self::Exactly(1..))
    }
}
