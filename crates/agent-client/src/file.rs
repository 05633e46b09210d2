//! Files through the agent, as the sandbox's ordinary user.

use bytes::Bytes;
use futures::{Stream, stream};
use sentinal_agent_protocol::v1;
use sentinal_model::{GuestPath, limits};
use tokio::time::timeout;
use tonic::Streaming;

use crate::{
    agent::{Agent, answer},
    body::{WriteError, answered, messages},
    error::AgentError,
};

/// A file being read.
#[derive(Debug)]
pub struct Reading {
    /// Its size when it was opened.
    pub size: u64,
    messages: Streaming<v1::ReadFileResponse>,
    first: Option<v1::ReadFileResponse>,
}

impl Agent {
    /// Writes a whole file, making parent folders. Nothing is kept if `body` yields an error or is dropped.
    pub async fn write_file<E>(
        &self,
        path: &GuestPath,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<u64, WriteError<E>> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await.map_err(WriteError::Agent)?.client();
        let (messages, receiver) = messages();
        let call = client.write_file(receiver);
        let start = v1::WriteFileStart { path: path.as_str().to_owned(), mode: 0o644, user: None, make_parents: true };
        let feed = async move {
            let first = v1::WriteFileRequest { start: Some(start), data: Vec::new(), end: false };
            messages.send(first).await?;
            let part = |data: &[u8]| v1::WriteFileRequest { start: None, data: data.to_vec(), end: false };
            messages.send_all(body, part).await?;
            // Without the end mark nothing is kept.
            messages.send(v1::WriteFileRequest { start: None, data: Vec::new(), end: true }).await
        };
        answered(call, feed).await.map(|written| written.size)
    }

    /// Opens a file for reading.
    pub async fn read_file(&self, path: &GuestPath) -> Result<Reading, AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let request = v1::ReadFileRequest { path: path.as_str().to_owned(), user: None };
        let mut messages = answer(client.read_file(request)).await?;
        let first = match timeout(limits::AGENT_ANSWER_DEADLINE, messages.message()).await {
            Ok(message) => message?.ok_or(AgentError::Disconnected)?,
            Err(_) => return Err(AgentError::Deadline),
        };
        Ok(Reading { size: first.size, messages, first: Some(first) })
    }
}

impl Reading {
    /// The bytes; exactly [`Self::size`] of them, or an error at the end.
    pub fn bytes(self) -> impl Stream<Item = Result<Bytes, AgentError>> + Send + 'static {
        let state = State { messages: self.messages, first: self.first, left: self.size, done: false };
        stream::unfold(state, |mut state| async move {
            let chunk = state.next().await?;
            Some((chunk, state))
        })
    }
}

#[derive(Debug)]
struct State {
    messages: Streaming<v1::ReadFileResponse>,
    first: Option<v1::ReadFileResponse>,
    left: u64,
    done: bool,
}

impl State {
    async fn next(&mut self) -> Option<Result<Bytes, AgentError>> {
        while !self.done {
            match self.message().await {
                Ok(message) => {
                    self.done = message.end;
                    let length = u64::try_from(message.data.len()).unwrap_or(u64::MAX);
                    // More than was announced, or an end too early: the agent is not to be believed.
                    if length > self.left || (message.end && length < self.left) {
                        return Some(self.fail());
                    }
                    self.left -= length;
                    if length > 0 {
                        return Some(Ok(Bytes::from(message.data)));
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
        match timeout(limits::AGENT_ANSWER_DEADLINE, self.messages.message()).await {
            Ok(message) => message?.ok_or(AgentError::Disconnected),
            Err(_) => Err(AgentError::Deadline),
        }
    }

    const fn fail(&mut self) -> Result<Bytes, AgentError> {
        self.done = true;
        Err(AgentError::Disconnected)
    }
}
