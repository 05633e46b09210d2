//! The real [`Node`]: a client over the node's Unix socket.
//!
//! It connects when it is first needed and again whenever the connection is gone; every connection starts
//! with `Hello`. Each call has a deadline of its own. A call whose connection breaks is made once more on a
//! new one, which is safe because every verb may be repeated.

mod connection;
mod failure;

pub use failure::error_of;

use std::{
    fmt,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt as _,
    future::BoxFuture,
    stream::{BoxStream, Stream},
};
use sentinal_model::{FreeSpace, Generation, ImageName, Result, SandboxId, limits};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout, timeout_at},
};
use tonic::{Response, Status};

use crate::{
    Boot, EventStream, HostUsage, ImageDetails, Inventory, Keep, Named, Node, NodeInstance, NodeView, Place,
    RemovedImages,
    client::connection::{Connection, Stub},
    v1, wire,
};

/// How long a call may take that boots and halts nothing.
pub const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// What a boot or a halt may take on top of the node's own deadline for it.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// How long an image may be on its way: the largest, to a slow disk.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(1800);

/// How long unused images may take to go.
const PRUNE_DEADLINE: Duration = Duration::from_secs(60);

/// How long one call waits for a node that is not there: long enough for one that is being restarted.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// How often a call is made: once more than a connection may break under it.
const ATTEMPTS: u32 = 2;

/// The node behind a Unix socket.
pub struct UnixNode {
    socket: PathBuf,
    link: Mutex<Link>,
}

/// The connection of the moment, or what became of the last attempt to make one.
#[derive(Debug, Default)]
enum Link {
    #[default]
    Unused,
    Up(Connection),
    Down {
        since: Instant,
        why: sentinal_model::Error,
    },
}

impl UnixNode {
    /// The node that listens on `socket`, now or later.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), link: Mutex::new(Link::Unused) }
    }

    /// Where the node listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A connection that has said `Hello`. Callers that waited while somebody else failed to connect share
    /// that failure instead of trying one after the other.
    async fn connection(&self) -> Result<Connection> {
        let asked_at = Instant::now();
        let mut link = self.link.lock().await;
        match &*link {
            Link::Up(connection) if connection.is_usable() => return Ok(connection.clone()),
            Link::Down { since, why } if asked_at <= *since => return Err(why.clone()),
            Link::Unused | Link::Up(_) | Link::Down { .. } => {}
        }
        let connected = connection::open(&self.socket, asked_at + CONNECT_DEADLINE).await;
        *link = match &connected {
            Ok(connection) => Link::Up(connection.clone()),
            Err(why) => Link::Down { since: Instant::now(), why: why.clone() },
        };
        connected
    }

    /// Nobody gets this connection again, even if its end has not been noticed everywhere yet.
    async fn forget(&self, broken: &Connection) {
        let mut link = self.link.lock().await;
        if matches!(&*link, Link::Up(connection) if connection.is_same(broken)) {
            *link = Link::Unused;
        }
    }

    /// Makes a call within its deadline, on a fresh connection if the first one breaks.
    async fn call<Q, A>(&self, deadline: Duration, request: Q, send: Send<Q, A>) -> Result<A>
    where
        Q: Clone + std::marker::Send,
    {
        let until = Instant::now() + deadline;
        let attempts = async {
            for _ in 0..ATTEMPTS {
                let connection = self.connection().await?;
                let status = match send(connection.stub(), request.clone()).await {
                    Ok(answer) => return Ok(answer.into_inner()),
                    Err(status) => status,
                };
                if connection.is_usable() && !failure::is_broken_connection(&status) {
                    return Err(failure::error_of(&status));
                }
                tracing::debug!(%status, "connection to the node broke during a call");
                self.forget(&connection).await;
            }
            Err(failure::went_away())
        };
        timeout_at(until, attempts).await.unwrap_or_else(|_| Err(failure::late(deadline)))
    }
}

/// One method of the generated client.
type Send<Q, A> = fn(Stub, Q) -> BoxFuture<'static, std::result::Result<Response<A>, Status>>;

/// The method as a [`Send`].
macro_rules! method {
    ($name:ident) => {
        |mut stub, request| Box::pin(async move { stub.$name(request).await })
    };
}

#[async_trait]
impl Node for UnixNode {
    async fn describe(&self) -> Result<NodeView> {
        let answer = self.call(CALL_DEADLINE, v1::DescribeRequest {}, method!(describe)).await?;
        let connection = self.connection().await?;
        let identity = connection.identity();
        Ok(NodeView {
            node: identity.node.clone(),
            host_boot_id: identity.host_boot_id.clone(),
            room: answer.room.unwrap_or_default().into(),
            engines: answer.engines.into_iter().filter_map(|engine| engine.try_into().ok()).collect(),
            images: answer.images.into_iter().filter_map(|image| image.try_into().ok()).collect(),
            agent_digest: wire::clean(&answer.agent_digest),
        })
    }

    async fn place(&self, request: Place) -> Result<PathBuf> {
        let request = v1::PlaceRequest::from(request);
        let answer = self.call(CALL_DEADLINE, request, method!(place)).await?;
        let folder = PathBuf::from(answer.socket_folder);
        if folder.is_absolute() { Ok(folder) } else { Err(failure::misunderstood("a socket folder that is no path")) }
    }

    async fn boot(&self, request: Boot) -> Result<()> {
        let deadline = limits::BOOT_TURN_DEADLINE + limits::BOOT_DEADLINE + ANSWER_GRACE;
        self.call(deadline, v1::BootRequest::from(request), method!(boot)).await.map(|_| ())
    }

    async fn keep(&self, request: Keep) -> Result<()> {
        self.call(CALL_DEADLINE, v1::KeepRequest::from(request), method!(keep)).await.map(|_| ())
    }

    async fn pause(&self, id: SandboxId, generation: Generation) -> Result<()> {
        let request = v1::PauseRequest::from(Named { id, generation });
        self.call(limits::PAUSE_DEADLINE + ANSWER_GRACE, request, method!(pause)).await.map(|_| ())
    }

    async fn resume(&self, id: SandboxId, generation: Generation) -> Result<()> {
        let request = v1::ResumeRequest::from(Named { id, generation });
        self.call(limits::PAUSE_DEADLINE + ANSWER_GRACE, request, method!(resume)).await.map(|_| ())
    }

    async fn halt(&self, id: SandboxId, generation: Generation) -> Result<HostUsage> {
        let deadline = limits::HALT_DEADLINE + ANSWER_GRACE;
        let request = v1::HaltRequest::from(Named { id, generation });
        let answer = self.call(deadline, request, method!(halt)).await?;
        Ok(answer.usage.unwrap_or_default().into())
    }

    async fn list(&self) -> Result<Inventory> {
        let answer = self.call(CALL_DEADLINE, v1::ListRequest {}, method!(list)).await?;
        let host_boot_id = self.connection().await?.identity().host_boot_id.clone();
        let instances: Result<Vec<NodeInstance>> = answer.instances.into_iter().map(TryInto::try_into).collect();
        let instances = instances.map_err(|error| failure::misunderstood(error.message()))?;
        Ok(Inventory { host_boot_id, instances })
    }

    async fn stats(&self, id: SandboxId) -> Result<HostUsage> {
        let request = v1::StatsRequest { sandbox_id: id.to_string() };
        let answer = self.call(CALL_DEADLINE, request, method!(stats)).await?;
        Ok(answer.usage.unwrap_or_default().into())
    }

    /// Its bytes come once: a call whose connection breaks is not made again.
    async fn publish_image(&self, image: ImageDetails, content: BoxStream<'static, Bytes>) -> Result<()> {
        let first = v1::PublishImageRequest { image: Some(image.into()), data: Vec::new() };
        let messages = Messages { first: Some(first), content };
        let mut stub = self.connection().await?.stub();
        match timeout(PUBLISH_DEADLINE, stub.publish_image(messages)).await {
            Ok(answer) => answer.map(|_| ()).map_err(|status| failure::error_of(&status)),
            Err(_) => Err(failure::late(PUBLISH_DEADLINE)),
        }
    }

    async fn inspect_image(&self, name: &ImageName) -> Result<ImageDetails> {
        let request = v1::InspectImageRequest { name: name.to_string() };
        let answer = self.call(CALL_DEADLINE, request, method!(inspect_image)).await?;
        answer.image.unwrap_or_default().try_into()
    }

    async fn remove_image(&self, name: &ImageName) -> Result<RemovedImages> {
        let request = v1::RemoveImageRequest { name: name.to_string() };
        self.call(CALL_DEADLINE, request, method!(remove_image)).await.map(Into::into)
    }

    async fn prune_images(&self, until_free: Option<FreeSpace>) -> Result<RemovedImages> {
        self.call(PRUNE_DEADLINE, v1::PruneImagesRequest::from(until_free), method!(prune_images)).await.map(Into::into)
    }

    async fn watch(&self) -> Result<EventStream> {
        let events = self.call(CALL_DEADLINE, v1::WatchRequest {}, method!(watch)).await?;
        let events = events.filter_map(|message| async move {
            match message.map(v1::WatchEvent::into_event) {
                Ok(Ok(event)) => event.map(Ok),
                Ok(Err(error)) => Some(Err(failure::misunderstood(error.message()))),
                Err(status) => Some(Err(failure::error_of(&status))),
            }
        });
        Ok(events.boxed())
    }
}

/// An image, message by message: of a type with a name, which the compiler can follow through the generated client.
struct Messages {
    first: Option<v1::PublishImageRequest>,
    content: BoxStream<'static, Bytes>,
}

impl Stream for Messages {
    type Item = v1::PublishImageRequest;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => self.content.poll_next_unpin(context).map(|bytes| bytes.map(piece)),
        }
    }
}

fn piece(data: Bytes) -> v1::PublishImageRequest {
    v1::PublishImageRequest { image: None, data: data.to_vec() }
}

impl fmt::Debug for UnixNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixNode").field("socket", &self.socket).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
