//! Standard input of a running program.

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use sentinal_agent_protocol::{CHUNK_BYTES, v1};
use sentinal_model::{ExecutionId, limits};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;

use crate::{agent::Agent, error::AgentError, file::WriteError};

/// Messages on their way to the agent; more wait for the program to read.
const QUEUE: usize = 4;

/// Which standard input, and which part of it.
#[derive(Debug, Clone, Copy)]
pub struct Stdin {
    /// Whose.
    pub id: ExecutionId,
    /// Of the first byte, counted from the first one that was ever sent; `None` is after the last one. Bytes that the
    /// program has been given already are not given to it again.
    pub offset: Option<u64>,
    /// Whether nothing follows.
    pub end: bool,
}

impl Agent {
    /// Sends `body` to a program's standard input, at the pace at which it reads, and answers how many bytes it has been
    /// given in all. [`AgentError::Deadline`] when it does not read for long; what was taken until then stays taken.
    pub async fn write_stdin<E: Send>(
        &self,
        stdin: Stdin,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<u64, WriteError<E>> {
        let offset = match stdin.offset {
            Some(offset) => offset,
            None => self.send(Stdin { end: false, ..stdin }, 0, futures::stream::empty()).await?,
        };
        self.send(stdin, offset, body).await
    }

    async fn send<E>(
        &self,
        stdin: Stdin,
        offset: u64,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<u64, WriteError<E>> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await.map_err(WriteError::Agent)?.client();
        let (sender, receiver) = mpsc::channel(QUEUE);
        let call = client.stdin(ReceiverStream::new(receiver));
        let mut call = std::pin::pin!(call);
        tokio::select! {
            biased;
            // An agent that refuses answers before the body is through.
            early = &mut call => return given(early),
            fed = feed(sender, stdin, offset, body) => fed?,
        }
        match timeout(limits::AGENT_ANSWER_DEADLINE, call).await {
            Ok(answer) => given(answer),
            Err(_) => Err(WriteError::Agent(AgentError::Deadline)),
        }
    }
}

/// Sends the body in messages of bounded size. Returns early when it fails.
async fn feed<E>(
    sender: mpsc::Sender<v1::StdinRequest>,
    stdin: Stdin,
    mut offset: u64,
    body: impl Stream<Item = Result<Bytes, E>> + Send,
) -> Result<(), WriteError<E>> {
    let message = |offset, data: &[u8], end| v1::StdinRequest {
        execution_id: stdin.id.to_string(),
        offset,
        data: data.to_vec(),
        end,
    };
    let mut body = std::pin::pin!(body);
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(WriteError::Body)?;
        for chunk in bytes.chunks(CHUNK_BYTES) {
            send(&sender, message(offset, chunk, false)).await?;
            offset = offset.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        }
    }
    send(&sender, message(offset, &[], stdin.end)).await
}

async fn send<E>(sender: &mpsc::Sender<v1::StdinRequest>, message: v1::StdinRequest) -> Result<(), WriteError<E>> {
    let sent = timeout(limits::AGENT_ANSWER_DEADLINE, sender.send(message)).await;
    sent.map_err(|_| WriteError::Agent(AgentError::Deadline))?.map_err(|_| WriteError::Agent(AgentError::Disconnected))
}

fn given<E>(answer: Result<tonic::Response<v1::StdinResponse>, tonic::Status>) -> Result<u64, WriteError<E>> {
    answer.map(|answer| answer.into_inner().offset).map_err(|status| WriteError::Agent(status.into()))
}
