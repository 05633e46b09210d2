//! The verbs of images: take one, tell of one, remove what nothing needs.
//!
//! The node reads no archive and believes no digest: it takes bytes, adds them up, looks at the superblock, and renames
//! the file into its place. Which images are needed is in the records of the sandboxes.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use sentinal_model::{FreeSpace, ImageName};
use sentinal_node_protocol::{ImageDetails, RemovedImages};

use super::Host;
use crate::{
    Images, ReceiveImage,
    error::NodeError,
    folder::{InstanceFolder, Kept},
    limits::{IMAGE_PIECE_DEADLINE, IMAGES_RECEIVED_MAX},
};

impl Host {
    /// Takes an image to its last byte.
    pub(crate) async fn publish_image(
        self: Arc<Self>,
        image: ImageDetails,
        mut content: BoxStream<'static, Result<Bytes, NodeError>>,
    ) -> Result<(), NodeError> {
        let _turn = self.receiving.try_acquire().map_err(|_| NodeError::Receiving { max: IMAGES_RECEIVED_MAX })?;
        let (name, digest) = (image.name.clone(), image.digest.clone());
        let mut receiving = self.ask_images(|images| images.receive(image)).await.map_err(NodeError::Image)?;
        while let Some(bytes) = next(&mut content).await? {
            receiving = self.write_image(receiving, bytes).await?;
        }
        // Between the file and its name nobody takes it for one that nobody needs.
        let _images_stay = self.images_stay.read().await;
        self.ask_images(move |_| receiving.finish()).await.map_err(NodeError::Image)?;
        tracing::info!(image = %name, digest, "image published");
        Ok(())
    }

    async fn write_image(
        &self,
        mut receiving: Box<dyn ReceiveImage>,
        bytes: Bytes,
    ) -> Result<Box<dyn ReceiveImage>, NodeError> {
        let write = move || receiving.write(&bytes).map(|()| receiving);
        self.ask_images(move |_| write()).await.map_err(NodeError::Image)
    }

    /// All that is known of an image.
    pub(crate) async fn inspect_image(&self, name: ImageName) -> Result<ImageDetails, NodeError> {
        self.ask_images(move |images| images.inspect(&name)).await.map_err(NodeError::Image)
    }

    /// Takes a name away, and the image with its last one.
    pub(crate) async fn remove_image(self: Arc<Self>, name: ImageName) -> Result<RemovedImages, NodeError> {
        let _alone = self.images_stay.write().await;
        let in_use = self.images_in_use().await?;
        let wanted = name.clone();
        let removed = self.ask_images(move |images| images.remove(&wanted, &in_use)).await.map_err(NodeError::Image)?;
        tracing::info!(image = %name, "image removed");
        Ok(removed)
    }

    /// Removes images that have no name and that no sandbox here was made of; with a bound only as long as less is free.
    pub(crate) async fn prune_images(
        self: Arc<Self>,
        until_free: Option<FreeSpace>,
    ) -> Result<RemovedImages, NodeError> {
        let _alone = self.images_stay.write().await;
        let in_use = self.images_in_use().await?;
        let prune = move |images: &dyn Images| images.prune(&in_use, until_free);
        let removed = self.ask_images(prune).await.map_err(NodeError::Image)?;
        if until_free.is_none() || !removed.digests.is_empty() {
            tracing::info!(images = removed.digests.len(), bytes = removed.bytes, "unused images removed");
        }
        Ok(removed)
    }

    /// What the records say, of every sandbox that has anything here.
    async fn images_in_use(&self) -> Result<BTreeSet<String>, NodeError> {
        let ids = self.folder.all().map_err(NodeError::files("list its sandboxes"))?;
        let folders: Vec<_> = ids.iter().map(|id| self.folder.instance(id)).collect();
        let read = move || {
            let records = folders.iter().map(InstanceFolder::read);
            records
                .filter_map(|kept| match kept {
                    Ok(Kept::Record(record)) => Some(Ok(record.image.digest)),
                    Ok(Kept::Nothing | Kept::Unreadable(_)) => None,
                    Err(error) => Some(Err(error)),
                })
                .collect()
        };
        self.on_disk(read).await.map_err(NodeError::files("read its records"))
    }
}

/// The next piece. Who sends nothing for long is gone.
async fn next(content: &mut BoxStream<'static, Result<Bytes, NodeError>>) -> Result<Option<Bytes>, NodeError> {
    let piece = tokio::time::timeout(IMAGE_PIECE_DEADLINE, content.next()).await;
    piece.map_err(|_| NodeError::Cut)?.transpose()
}
