//! Files through the agent, as the sandbox's ordinary user.

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use sentinal_agent_protocol::{CHUNK_BYTES, v1};
use sentinal_model::{Error, GuestPath, limits};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{agent::Agent, agent::answer, error::AgentError};

/// Messages of an upload under way between the caller's body and the agent.
const UPLOAD_QUEUE: usize = 4;

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
        let (sender, receiver) = mpsc::channel(UPLOAD_QUEUE);
        let start = v1::WriteFileStart { path: path.as_str().to_owned(), mode: 0o644, user: None, make_parents: true };
        let call = client.write_file(ReceiverStream::new(receiver));
        let feed = feed(sender, start, body);
        let mut call = std::pin::pin!(call);
        tokio::select! {
            biased;
            // An agent that refuses answers before the body is through.
            early = &mut call => return written(early),
            fed = feed => fed?,
        }
        match timeout(limits::AGENT_ANSWER_DEADLINE, call).await {
            Ok(answer) => written(answer),
            Err(_) => Err(WriteError::Agent(AgentError::Deadline)),
        }
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

/// Why a file was not written.
#[derive(Debug)]
pub enum WriteError<E> {
    /// The caller's body failed.
    Body(E),
    /// The agent did.
    Agent(AgentError),
}

impl From<WriteError<Self>> for Error {
    fn from(error: WriteError<Self>) -> Self {
        match error {
            WriteError::Body(error) => error,
            WriteError::Agent(error) => error.into(),
        }
    }
}

/// Sends the body in messages of bounded size. Returns early, without the end mark, when it fails.
async fn feed<E>(
    sender: mpsc::Sender<v1::WriteFileRequest>,
    start: v1::WriteFileStart,
    body: impl Stream<Item = Result<Bytes, E>> + Send,
) -> Result<(), WriteError<E>> {
    let gone = |_| WriteError::Agent(AgentError::Disconnected);
    let first = v1::WriteFileRequest { start: Some(start), data: Vec::new(), end: false };
    sender.send(first).await.map_err(gone)?;
    let mut body = std::pin::pin!(body);
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(WriteError::Body)?;
        for chunk in bytes.chunks(CHUNK_BYTES) {
            let message = v1::WriteFileRequest { start: None, data: chunk.to_vec(), end: false };
            let sent = timeout(limits::AGENT_ANSWER_DEADLINE, sender.send(message)).await;
            sent.map_err(|_| WriteError::Agent(AgentError::Deadline))?.map_err(gone)?;
        }
    }
    sender.send(v1::WriteFileRequest { start: None, data: Vec::new(), end: true }).await.map_err(gone)
}

fn written<E>(answer: Result<tonic::Response<v1::WriteFileResponse>, tonic::Status>) -> Result<u64, WriteError<E>> {
    answer.map(|answer| answer.into_inner().size).map_err(|status| WriteError::Agent(status.into()))
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
