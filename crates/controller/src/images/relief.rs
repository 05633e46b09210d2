//! Room on the disk of the images: what nobody names or uses goes when it is needed, and not before.

use std::{sync::Arc, time::Duration};

use sentinal_model::{Result, TenantId};
use sentinal_store::Write;

use crate::{context::Context, events};

/// How often it is looked whether there is enough.
const EVERY: Duration = Duration::from_secs(60);

/// Keeps looking as long as the server runs.
pub(crate) async fn relieve(context: Arc<Context>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = make_room(&context).await {
            tracing::debug!(?error, "not known whether the images have room; it is looked again");
        }
    }
}

/// Has the node remove what it can, as long as less is free than should be.
pub(super) async fn make_room(context: &Context) -> Result<()> {
    let wanted = context.parts.settings.images_free;
    let removed = context.node().prune_images(Some(wanted)).await?;
    if removed.digests.is_empty() {
        return Ok(());
    }
    let (images, bytes) = (removed.digests.len(), removed.bytes);
    tracing::info!(images, bytes, %wanted, "unused images removed: the disk of the images is short of space");
    context.metrics().images_removed(images, bytes);
    // Nobody asked for it: it is told to whom the server belongs.
    let event =
        events::images_pruned(&TenantId::default_tenant(), context.now(), (&removed, "the disk is short of space"));
    context.write(vec![Write::Event(event)]).await
}
