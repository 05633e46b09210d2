//! A body on its way from the server to the thread that writes it.

use bytes::Bytes;
use sentinal_agent_protocol::v1::{WriteFileRequest, WriteFileStart};
use tokio::{sync::mpsc, time::timeout};
use tonic::{Status, Streaming};

use super::{Transfers, absolute};
use crate::{limits, user::Users};

/// Where a thread takes the body from.
pub(super) struct Incoming(mpsc::Receiver<Chunk>);

/// One message's worth.
pub(super) struct Chunk {
    pub(super) data: Bytes,
    pub(super) is_last: bool,
}

impl Incoming {
    /// The next chunk; an error if the body was cut off.
    pub(super) fn next(&mut self) -> Result<Chunk, Status> {
        self.0.blocking_recv().ok_or_else(cut_off)
    }
}

/// Does the work on a thread that is the user of the first message, with the path that it names.
pub(super) async fn receive<T: Send + 'static>(
    transfers: &Transfers,
    users: &Users,
    mut messages: Streaming<WriteFileRequest>,
    work: impl FnOnce(&str, &WriteFileStart, &mut Incoming) -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let mut message = next(&mut messages).await?;
    let start = message.start.take().ok_or_else(|| Status::invalid_argument("the first message must have a start"))?;
    let user = users.find(start.user.as_ref().map_or("", |user| &user.name))?;
    let path = absolute(&start.path, &user)?;
    let (sender, receiver) = mpsc::channel(limits::TRANSFER_QUEUE_MESSAGES);
    let work = move || work(&path, &start, &mut Incoming(receiver));
    let writing = transfers.start(user.identity, work).await?;
    let forwarded = forward(message, messages, sender).await;
    let written = writing.await.map_err(|lost| Status::internal(format!("the upload was lost: {lost}")))?;
    // When the writer failed, that is the cause; forwarding failed only because of it.
    written.and_then(|written| forwarded.map(|()| written))
}

async fn next(messages: &mut Streaming<WriteFileRequest>) -> Result<WriteFileRequest, Status> {
    match timeout(limits::TRANSFER_IDLE, messages.message()).await {
        Ok(message) => message?.ok_or_else(cut_off),
        Err(_) => Err(Status::deadline_exceeded("the upload made no progress")),
    }
}

fn cut_off() -> Status {
    Status::aborted("the upload ended before it was complete")
}

/// Dropping the sender before the last chunk is how the writer learns that there is none.
async fn forward(
    mut message: WriteFileRequest,
    mut messages: Streaming<WriteFileRequest>,
    sender: mpsc::Sender<Chunk>,
) -> Result<(), Status> {
    loop {
        let is_last = message.end;
        let sent = sender.send(Chunk { data: message.data, is_last }).await;
        if is_last || sent.is_err() {
            return Ok(());
        }
        message = next(&mut messages).await?;
    }
}
