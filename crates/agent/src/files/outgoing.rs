//! What a thread reads of the file system, on its way to the server.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use sentinal_agent_protocol::v1::{ListFolderResponse, ReadFileResponse};
use tokio::sync::mpsc::{self, error::TrySendError};
use tonic::Status;

use super::Transfers;
use crate::{limits, user::Identity};

/// One message of several.
pub(crate) trait Part: Send + 'static {
    /// Whether nothing follows.
    fn is_last(&self) -> bool;
}

/// Where a thread puts its messages, no faster than they are taken.
pub(super) struct Sender<P>(mpsc::Sender<Result<P, Status>>);

/// Nobody wants the rest.
pub(super) struct Gone;

/// Why a message is not on its way.
pub(super) enum NotSent<P> {
    /// Those before it were not taken yet.
    Full(P),
    /// Nobody wants it.
    Gone,
}

/// The messages, as they come.
pub(crate) struct Outgoing<P> {
    first: Option<P>,
    /// None: nothing follows.
    rest: Option<mpsc::Receiver<Result<P, Status>>>,
}

impl<P: Part> Outgoing<P> {
    /// Does the work on a thread that is this user. Answers once there is a first message, or the reason why there is
    /// none.
    pub(super) async fn start(
        transfers: &Transfers,
        identity: Identity,
        work: impl FnOnce(&Sender<P>) -> Result<(), Status> + Send + 'static,
    ) -> Result<Self, Status> {
        let (sender, mut receiver) = mpsc::channel(limits::TRANSFER_QUEUE_MESSAGES);
        let work = move || {
            if let Err(status) = work(&Sender(sender.clone())) {
                // Nobody wants to know any more, if this fails.
                let _ = sender.blocking_send(Err(status));
            }
            Ok(())
        };
        // Its result comes through the channel, but for a change of identity that failed.
        let reading = transfers.start(identity, work).await?;
        let Some(first) = receiver.recv().await else {
            let lost = reading.await.map_err(|lost| Status::internal(format!("the transfer was lost: {lost}")))?;
            return Err(lost.err().unwrap_or_else(|| Status::internal("the transfer was lost")));
        };
        let first = first?;
        let rest = (!first.is_last()).then_some(receiver);
        Ok(Self { first: Some(first), rest })
    }
}

impl<P> Sender<P> {
    pub(super) fn send(&self, part: P) -> Result<(), Gone> {
        self.0.blocking_send(Ok(part)).map_err(|_| Gone)
    }

    /// Without waiting.
    pub(super) fn try_send(&self, part: P) -> Result<(), NotSent<P>> {
        self.0.try_send(Ok(part)).map_err(|error| match error {
            TrySendError::Full(Ok(part)) => NotSent::Full(part),
            TrySendError::Full(Err(_)) | TrySendError::Closed(_) => NotSent::Gone,
        })
    }
}

impl<P: Part + Unpin> futures::Stream for Outgoing<P> {
    type Item = Result<P, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let part = std::task::ready!(rest.poll_recv(cx));
        if part.as_ref().is_none_or(|part| part.as_ref().map_or(true, Part::is_last)) {
            self.rest = None;
        }
        Poll::Ready(part)
    }
}

impl Part for ReadFileResponse {
    fn is_last(&self) -> bool {
        self.end
    }
}

impl Part for ListFolderResponse {
    fn is_last(&self) -> bool {
        self.more.is_some()
    }
}
