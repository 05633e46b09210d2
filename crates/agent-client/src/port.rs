//! A connection to a port inside a sandbox, as a stream of bytes.

use std::{
    any::Any,
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use sentinal_agent_protocol::{CHUNK_BYTES, v1};
use sentinal_model::limits;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{io::StreamReader, sync::PollSender};

use crate::{
    agent::{Agent, answer},
    error::AgentError,
};

/// Messages between the caller and the agent.
const QUEUE: usize = 4;

/// Bytes to and from what listens on a port. Its own end is said by a shutdown; dropped without one, or when the agent
/// is gone, the connection is broken off.
pub struct PortStream {
    reader: StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>,
    writer: PollSender<v1::ConnectRequest>,
    held: Option<Box<dyn Any + Send + Sync>>,
}

impl Agent {
    /// Connects to a port of the sandbox's loopback addresses. [`AgentError::Refused`] with a conflict where nobody
    /// listens.
    pub async fn connect(&self, port: u16) -> Result<PortStream, AgentError> {
        let mut client = self.connection(limits::AGENT_ANSWER_DEADLINE).await?.client();
        let (sender, receiver) = mpsc::channel(QUEUE);
        let first = v1::ConnectRequest { port: port.into(), ..v1::ConnectRequest::default() };
        // There is room, and the receiver is here.
        let _ = sender.try_send(first);
        let mut answers = answer(client.connect(ReceiverStream::new(receiver))).await?;
        // The first one says that the connection stands.
        answers.message().await?.ok_or(AgentError::Disconnected)?;
        Ok(PortStream { reader: StreamReader::new(bytes_of(answers)), writer: PollSender::new(sender), held: None })
    }
}

impl fmt::Debug for PortStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortStream").field("held", &self.held).finish_non_exhaustive()
    }
}

/// Bytes until their end is said; without that an error.
fn bytes_of(answers: tonic::Streaming<v1::ConnectResponse>) -> BoxStream<'static, io::Result<Bytes>> {
    futures::stream::try_unfold(answers, |mut answers| async move {
        let cut_off = || io::Error::new(io::ErrorKind::ConnectionReset, "the sandbox broke the connection off");
        let answer = answers.message().await.map_err(|_| cut_off())?.ok_or_else(cut_off)?;
        Ok(if answer.end { None } else { Some((answer.data, answers)) })
    })
    .boxed()
}

impl AsyncRead for PortStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buffer)
    }
}

impl PortStream {
    /// The same; `held` is dropped with it.
    #[must_use]
    pub fn holding(self, held: impl Any + Send + Sync) -> Self {
        Self { held: Some(Box::new(held)), ..self }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8], end: bool) -> Poll<io::Result<()>> {
        let broken = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.writer.poll_reserve(cx)).map_err(broken)?;
        let message = v1::ConnectRequest { port: 0, data: data.to_vec(), end };
        Poll::Ready(self.writer.send_item(message).map_err(broken))
    }
}

impl AsyncWrite for PortStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let data = &data[..data.len().min(CHUNK_BYTES)];
        ready!(self.poll_send(cx, data, false))?;
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was taken is on its way.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.writer.is_closed() {
            ready!(self.poll_send(cx, &[], true))?;
            self.writer.close();
        }
        Poll::Ready(Ok(()))
    }
}
