//! Standard input of a running program.

use bytes::Bytes;
use futures::{Stream, stream};
use sentinal_agent_protocol::v1;
use sentinal_model::{ExecutionId, StdinPart, limits};

use crate::{
    agent::Agent,
    body::{WriteError, answered, messages},
};

impl Agent {
    /// Sends `body` to a program's standard input, at the pace at which it reads, and answers how many bytes it has been
    /// given in all. [`crate::AgentError::Deadline`] when it does not read for long; what was taken until then stays
    /// taken.
    pub async fn write_stdin<E: Send>(
        &self,
        id: ExecutionId,
        part: StdinPart,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<u64, WriteError<E>> {
        let offset = match part.offset {
            Some(offset) => offset,
            None => self.send_stdin(id, (0, false), stream::empty()).await?,
        };
        self.send_stdin(id, (offset, part.end), body).await
    }

    async fn send_stdin<E>(
        &self,
        id: ExecutionId,
        (mut offset, end): (u64, bool),
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<u64, WriteError<E>> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await.map_err(WriteError::Agent)?.client();
        let (messages, receiver) = messages();
        let call = client.stdin(receiver);
        let message = |offset, data: &[u8], end| v1::StdinRequest {
            execution_id: id.to_string(),
            offset,
            data: data.to_vec(),
            end,
        };
        let feed = async move {
            let part = |data: &[u8]| {
                let part = message(offset, data, false);
                offset = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
                part
            };
            messages.send_all(body, part).await?;
            messages.send(message(offset, &[], end)).await
        };
        answered(call, feed).await.map(|given| given.offset)
    }
}
