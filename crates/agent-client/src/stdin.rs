//! Standard input of a running program.

use bytes::Bytes;
use futures::Stream;
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
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await.map_err(WriteError::Agent)?.client();
        let (messages, receiver) = messages();
        let call = client.stdin(receiver);
        let mut offset = part.offset.unwrap_or(0);
        let message = |offset, data, end| v1::StdinRequest {
            execution_id: id.to_string(),
            offset,
            data,
            end,
            append: part.offset.is_none(),
        };
        let feed = async move {
            // Without a body it is asked how far it is.
            messages.send(message(offset, Bytes::new(), false)).await?;
            let next = |data: Bytes| {
                let first = offset;
                offset = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
                message(first, data, false)
            };
            messages.send_all(body, next).await?;
            if part.end {
                messages.send(message(offset, Bytes::new(), true)).await?;
            }
            Ok(())
        };
        answered(call, feed).await.map(|given| given.offset)
    }
}
