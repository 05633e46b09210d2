//! A node in this very process, without the socket and the keeper: for simulations, in which nothing may depend on
//! what a kernel does when.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use sentinal_model::{Error, FreeSpace, Generation, ImageName, NodeId, Result, SandboxId};
use sentinal_node_protocol::{
    Boot, EventStream, HostUsage, ImageDetails, Inventory, Keep, Named, Node, NodeInstance, NodeView, Place,
    RemovedImages, error_of,
};
use tokio::sync::broadcast;
use tokio_util::{sync::DropGuard, task::AbortOnDropHandle};
use tonic::Status;

use crate::{
    config::{NodeConfig, NodeParts},
    error::NodeError,
    host::Host,
    run::{self, StartError},
};

/// A node that ends, at whatever line it is, when this is dropped.
#[derive(Debug)]
pub struct LocalNode {
    host: Arc<Host>,
    node_id: NodeId,
    _probing: Vec<AbortOnDropHandle<()>>,
    _guard: DropGuard,
}

impl LocalNode {
    /// Starts as [`crate::run_with`] does, up to where that would open its socket.
    pub async fn start(config: NodeConfig, parts: NodeParts) -> std::result::Result<Self, StartError> {
        let host = run::host(&config, parts).await?;
        let guard = host.guard();
        run::adopt(&host).await?;
        let probing = run::start_probing(&host);
        Ok(Self { host, node_id: config.node_id, _probing: probing, _guard: guard })
    }

    /// Every sandbox that has a folder here.
    pub fn folders(&self) -> Vec<SandboxId> {
        self.host.folder.all().unwrap_or_default()
    }
}

/// As if it had crossed the socket.
fn crossed(error: NodeError) -> Error {
    error_of(&Status::from(error))
}

#[async_trait]
impl Node for LocalNode {
    async fn describe(&self) -> Result<NodeView> {
        Ok(NodeView {
            node: self.node_id.clone(),
            host_boot_id: self.host.boot_id.clone(),
            room: self.host.room().await.map_err(crossed)?,
            engines: self.host.engines.describe().await,
            images: self.host.images().await,
            agent_digest: self.host.agent_digest().await,
        })
    }

    async fn place(&self, request: Place) -> Result<PathBuf> {
        self.host.finish(Arc::clone(&self.host).place(request)).await.map_err(crossed)
    }

    async fn boot(&self, request: Boot) -> Result<()> {
        self.host.finish(Arc::clone(&self.host).boot(request)).await.map_err(crossed)
    }

    async fn keep(&self, request: Keep) -> Result<()> {
        self.host.finish(Arc::clone(&self.host).keep(request)).await.map_err(crossed)
    }

    async fn pause(&self, id: SandboxId, generation: Generation) -> Result<()> {
        self.host.finish(Arc::clone(&self.host).pause(Named { id, generation })).await.map_err(crossed)
    }

    async fn resume(&self, id: SandboxId, generation: Generation) -> Result<()> {
        self.host.finish(Arc::clone(&self.host).resume(Named { id, generation })).await.map_err(crossed)
    }

    async fn halt(&self, id: SandboxId, generation: Generation) -> Result<HostUsage> {
        self.host.finish(Arc::clone(&self.host).halt(Named { id, generation })).await.map_err(crossed)
    }

    async fn list(&self) -> Result<Inventory> {
        let instances: Vec<NodeInstance> = self.host.list();
        Ok(Inventory { host_boot_id: self.host.boot_id.clone(), instances })
    }

    async fn stats(&self, id: SandboxId) -> Result<HostUsage> {
        self.host.stats(id).await.map_err(crossed)
    }

    async fn publish_image(&self, image: ImageDetails, content: BoxStream<'static, Bytes>) -> Result<()> {
        let content = content.map(Ok).boxed();
        self.host.finish(Arc::clone(&self.host).publish_image(image, content)).await.map_err(crossed)
    }

    async fn inspect_image(&self, name: &ImageName) -> Result<ImageDetails> {
        self.host.inspect_image(name.clone()).await.map_err(crossed)
    }

    async fn remove_image(&self, name: &ImageName) -> Result<RemovedImages> {
        self.host.finish(Arc::clone(&self.host).remove_image(name.clone())).await.map_err(crossed)
    }

    async fn prune_images(&self, until_free: Option<FreeSpace>) -> Result<RemovedImages> {
        self.host.finish(Arc::clone(&self.host).prune_images(until_free)).await.map_err(crossed)
    }

    async fn watch(&self) -> Result<EventStream> {
        let events = self.host.events.subscribe();
        Ok(stream::unfold(Some(events), |events| async move {
            let mut events = events?;
            match events.recv().await {
                Ok(event) => Some((Ok(event), Some(events))),
                Err(broadcast::error::RecvError::Closed) => None,
                Err(broadcast::error::RecvError::Lagged(_)) => Some((Err(crossed(NodeError::Lost)), None)),
            }
        })
        .boxed())
    }
}
