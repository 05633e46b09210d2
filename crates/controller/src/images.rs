//! Images: what the node has, and how more come to it.
//!
//! The node keeps them and says which are in use; who makes one out of an archive or a registry is somebody else's
//! matter ([`MakeImages`]), and works as an ordinary user. Here it is decided who may do what, and what a pull has come to.

mod build;
mod jobs;
mod log;
mod make;
mod relief;

pub use self::{
    build::NewBuild,
    jobs::{ImageJob, ImageJobKind, ImageJobState},
    make::{BuildContext, Credentials, ImageProgress, ImageStage, MadeImage, MakeImages, NoImages, PullRequest},
};
pub(crate) use self::{
    jobs::{Jobs, clear, remembered},
    relief::relieve,
};

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_auth::{ImportImage, Permit, ReadImage, RemoveImage};
use sentinal_model::{Code, Error, EventName, ImageJobId, ImageName, Result, limits};
use sentinal_node_protocol::{ImageDetails, ImageView, RemovedImages};
use sentinal_store::{Page, Write};

use crate::{api::Controller, context::Context, events, observe::describe};

/// Names that would hide a call of the API.
const RESERVED: [&str; 5] = ["import", "pull", "build", "prune", "job"];

/// An image that is to be brought in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImage {
    /// What it is to be called. A name that is taken moves to it.
    pub name: ImageName,
    /// Where it came from, for people.
    pub source: String,
}

impl Controller {
    /// Images in order of their names.
    pub async fn images(&self, _permit: &Permit<ReadImage>, page: Page<ImageName>) -> Result<Vec<ImageView>> {
        let mut images = self.context.node().describe().await?.images;
        images.sort_by(|a, b| a.name.cmp(&b.name));
        let after = |image: &ImageView| page.after.as_ref().is_none_or(|after| *after < image.name);
        let most = usize::try_from(page.rows_max).unwrap_or(usize::MAX);
        Ok(images.into_iter().filter(after).take(most).collect())
    }

    /// All that is known of an image.
    pub async fn image(&self, _permit: &Permit<ReadImage>, name: &ImageName) -> Result<ImageDetails> {
        self.context.node().inspect_image(name).await
    }

    /// Makes an image out of an archive.
    pub async fn import_image(
        &self,
        permit: &Permit<ImportImage>,
        new: NewImage,
        archive: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageDetails> {
        check_name(&new.name)?;
        let made = self.context.parts.images.import(archive).await?;
        let details = publish(&self.context, new, made).await?;
        tracing::info!(tenant = %permit.tenant(), image = %details.name, digest = details.digest, "image imported");
        let event = events::image_made(permit.caller(), self.context.now(), (EventName::ImageImported, &details));
        self.happened(event).await?;
        Ok(details)
    }

    /// Begins to pull an image; [`Controller::image_job`] tells how far it is.
    pub async fn pull_image(
        &self,
        permit: &Permit<ImportImage>,
        name: ImageName,
        pull: PullRequest,
    ) -> Result<ImageJob> {
        check_name(&name)?;
        self.context.parts.images.check(&pull)?;
        let kind = ImageJobKind::Pull { reference: pull.reference.clone() };
        let new = jobs::NewJob { by: permit.caller().clone(), name, kind, deadline: limits::IMAGE_PULL_DEADLINE };
        jobs::start(&self.context, new, |working| pulled(working, pull)).await
    }

    /// A pull or build, as far as it is.
    pub fn image_job(&self, permit: &Permit<ReadImage>, id: ImageJobId) -> Result<ImageJob> {
        self.context.image_jobs.get(permit.tenant(), id)
    }

    /// Pulls and builds, newest first.
    pub fn image_jobs(&self, permit: &Permit<ReadImage>, page: Page<ImageJobId>) -> Vec<ImageJob> {
        self.context.image_jobs.list(permit.tenant(), page)
    }

    /// What a build has said, from a byte on: at most the end of it that is kept. Followed, it goes on until its end.
    pub fn image_job_log(
        &self,
        permit: &Permit<ReadImage>,
        id: ImageJobId,
        (offset, follow): (u64, bool),
    ) -> Result<BoxStream<'static, Bytes>> {
        self.context.image_jobs.log(permit.tenant(), id, (offset, follow))
    }

    /// Ends a pull or build. One that has ended stays as it is.
    pub async fn cancel_image_job(&self, permit: &Permit<ImportImage>, id: ImageJobId) -> Result<ImageJob> {
        self.context.image_jobs.cancel(permit.tenant(), id).await
    }

    /// Takes a name away, and the image with its last one.
    pub async fn remove_image(&self, permit: &Permit<RemoveImage>, name: &ImageName) -> Result<RemovedImages> {
        if self.context.parts.settings.pools.iter().any(|pool| pool.image == *name) {
            let message = format!("the image {name} is in use: a pool keeps sandboxes of it booted");
            return Err(Error::new(Code::Conflict, message));
        }
        let removed = self.context.node().remove_image(name).await?;
        describe(&self.context).await?;
        tracing::info!(tenant = %permit.tenant(), image = %name, "image removed");
        self.context.metrics().images_removed(removed.digests.len(), removed.bytes);
        let event = events::image_removed(permit.caller(), self.context.now(), (name, &removed));
        self.happened(event).await?;
        Ok(removed)
    }

    /// Removes images that have no name and that no sandbox was made of.
    pub async fn prune_images(&self, permit: &Permit<RemoveImage>) -> Result<RemovedImages> {
        let removed = self.context.node().prune_images(None).await?;
        tracing::info!(tenant = %permit.tenant(), images = removed.digests.len(), "unused images removed");
        if removed.digests.is_empty() {
            return Ok(removed);
        }
        self.context.metrics().images_removed(removed.digests.len(), removed.bytes);
        let why = format!("by {}", permit.key());
        let event = events::images_pruned(permit.tenant(), self.context.now(), (&removed, &why));
        self.happened(event).await?;
        Ok(removed)
    }
}

fn check_name(name: &ImageName) -> Result<()> {
    if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("sha256:") {
        return Err(Error::invalid(format!("name: {:?} has another meaning here; choose another one", name.as_str())));
    }
    Ok(())
}

/// The work of a pull.
async fn pulled(working: jobs::Working, pull: PullRequest) -> Result<String> {
    let jobs::Working { context, by, name, progress, .. } = working;
    let made = context.parts.images.pull(&pull, &progress).await?;
    progress.send_modify(|progress| progress.stage = ImageStage::Publishing);
    let new = NewImage { name, source: pull.reference.clone() };
    let details = publish(&context, new, made).await?;
    let event = events::image_made(&by, context.now(), (EventName::ImagePulled, &details));
    context.write(vec![Write::Event(event)]).await?;
    Ok(details.digest)
}

/// Hands a finished image to the node. Sandboxes can be made of it when this answers.
async fn publish(context: &Arc<Context>, new: NewImage, made: MadeImage) -> Result<ImageDetails> {
    let details = ImageDetails {
        name: new.name,
        digest: made.digest,
        size_bytes: made.size_bytes,
        source: new.source,
        created: context.now(),
        config: made.config,
    };
    // What it does not find now, the node misses when it looks itself.
    if let Err(error) = relief::make_room(context).await {
        tracing::debug!(?error, "not known whether there is room for an image");
    }
    context.node().publish_image(details.clone(), made.content).await?;
    describe(context).await?;
    Ok(details)
}
