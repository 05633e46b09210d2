//! Bodies on their way to an agent: in messages of bounded size, no faster than it takes them.

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use sentinal_agent_protocol::{CHUNK_BYTES, v1};
use sentinal_model::{Error, limits};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;

use crate::error::AgentError;

/// Messages between the caller's body and the agent.
const QUEUE: usize = 4;

/// Why a body did not arrive.
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

/// Where the messages of one call go in.
pub(crate) struct Messages<M>(mpsc::Sender<M>);

/// The two ends of a call's messages.
pub(crate) fn messages<M>() -> (Messages<M>, ReceiverStream<M>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Messages(sender), ReceiverStream::new(receiver))
}

impl<M> Messages<M> {
    pub(crate) async fn send<E>(&self, message: M) -> Result<(), WriteError<E>> {
        let sent = timeout(limits::AGENT_ANSWER_DEADLINE, self.0.send(message)).await;
        let sent = sent.map_err(|_| WriteError::Agent(AgentError::Deadline))?;
        sent.map_err(|_| WriteError::Agent(AgentError::Disconnected))
    }

    /// Sends a body as messages that `message` makes. Returns early when it fails.
    pub(crate) async fn send_all<E>(
        &self,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
        mut message: impl FnMut(Bytes) -> M,
    ) -> Result<(), WriteError<E>> {
        let mut body = std::pin::pin!(body);
        while let Some(bytes) = body.next().await {
            let mut bytes = bytes.map_err(WriteError::Body)?;
            while !bytes.is_empty() {
                let chunk = bytes.split_to(bytes.len().min(CHUNK_BYTES));
                self.send(message(chunk)).await?;
            }
        }
        Ok(())
    }
}

impl Messages<v1::WriteFileRequest> {
    /// Sends a body that begins with where it goes. Without the mark at its end nothing is kept.
    pub(crate) async fn send_file<E>(
        self,
        start: v1::WriteFileStart,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<(), WriteError<E>> {
        self.send(v1::WriteFileRequest { start: Some(start), data: Bytes::new(), end: false }).await?;
        let part = |data| v1::WriteFileRequest { start: None, data, end: false };
        self.send_all(body, part).await?;
        self.send(v1::WriteFileRequest { start: None, data: Bytes::new(), end: true }).await
    }
}

/// What the agent answers to a call whose messages `feed` sends.
pub(crate) async fn answered<A, E>(
    call: impl Future<Output = Result<tonic::Response<A>, tonic::Status>>,
    feed: impl Future<Output = Result<(), WriteError<E>>>,
) -> Result<A, WriteError<E>> {
    let mut call = std::pin::pin!(call);
    let answer = tokio::select! {
        biased;
        // An agent that refuses answers before the body is through.
        early = &mut call => Ok(early),
        fed = feed => {
            match fed {
                // Nobody takes any more of it: the answer is on its way, or the reason why there is none.
                Ok(()) | Err(WriteError::Agent(AgentError::Disconnected)) => {}
                Err(error) => return Err(error),
            }
            timeout(limits::AGENT_ANSWER_DEADLINE, call).await
        }
    };
    let answer = answer.map_err(|_| WriteError::Agent(AgentError::Deadline))?;
    answer.map(tonic::Response::into_inner).map_err(|status| WriteError::Agent(status.into()))
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use futures::stream;
    use tonic::{Response, Status};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_told_though_the_body_was_dropped_before_it() {
        let (messages, receiver) = messages();
        let call = async {
            drop(receiver);
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err::<Response<()>, _>(Status::invalid_argument("no archive"))
        };
        let body = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(b"x")));
        let refused = answered(call, messages.send_file(v1::WriteFileStart::default(), body)).await.unwrap_err();
        let expected = AgentError::Refused(sentinal_model::Code::InvalidRequest, "no archive".to_owned());
        assert!(matches!(refused, WriteError::Agent(error) if error == expected));
    }
}
