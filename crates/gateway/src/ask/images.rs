//! Images, and the jobs that make them, as the gateway asks for it.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_auth::{CreateSandbox, Execute, ImportImage, Permit, ReadImage, RemoveImage};
use sentinal_controller::{
    Controller, ImageDetails, ImageJob, ImageView, NewBuild, NewImage, Page, PullRequest, RemovedImages,
};
use sentinal_model::{ImageJobId, ImageName, Result};

/// Images, and the jobs that make them.
#[async_trait]
#[expect(missing_docs, reason = "the controller's own methods say it")]
pub trait AskImages: Send + Sync {
    async fn images(&self, permit: &Permit<ReadImage>, page: Page<ImageName>) -> Result<Vec<ImageView>>;
    async fn image(&self, permit: &Permit<ReadImage>, name: &ImageName) -> Result<ImageDetails>;
    async fn import_image(
        &self,
        permit: &Permit<ImportImage>,
        new: NewImage,
        archive: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageDetails>;
    async fn pull_image(&self, permit: &Permit<ImportImage>, name: ImageName, pull: PullRequest) -> Result<ImageJob>;
    async fn build_image(
        &self,
        permit: &Permit<ImportImage>,
        inside: (&Permit<CreateSandbox>, &Permit<Execute>),
        new: NewBuild,
        context: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageJob>;
    fn image_job(&self, permit: &Permit<ReadImage>, id: ImageJobId) -> Result<ImageJob>;
    fn image_job_log(
        &self,
        permit: &Permit<ReadImage>,
        id: ImageJobId,
        part: (u64, bool),
    ) -> Result<BoxStream<'static, Bytes>>;
    fn image_jobs(&self, permit: &Permit<ReadImage>, page: Page<ImageJobId>) -> Vec<ImageJob>;
    async fn cancel_image_job(&self, permit: &Permit<ImportImage>, id: ImageJobId) -> Result<ImageJob>;
    async fn remove_image(&self, permit: &Permit<RemoveImage>, name: &ImageName) -> Result<RemovedImages>;
    async fn prune_images(&self, permit: &Permit<RemoveImage>) -> Result<RemovedImages>;
}

#[async_trait]
impl AskImages for Controller {
    async fn images(&self, permit: &Permit<ReadImage>, page: Page<ImageName>) -> Result<Vec<ImageView>> {
        self.images(permit, page).await
    }

    async fn image(&self, permit: &Permit<ReadImage>, name: &ImageName) -> Result<ImageDetails> {
        self.image(permit, name).await
    }

    async fn import_image(
        &self,
        permit: &Permit<ImportImage>,
        new: NewImage,
        archive: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageDetails> {
        self.import_image(permit, new, archive).await
    }

    async fn pull_image(&self, permit: &Permit<ImportImage>, name: ImageName, pull: PullRequest) -> Result<ImageJob> {
        self.pull_image(permit, name, pull).await
    }

    async fn build_image(
        &self,
        permit: &Permit<ImportImage>,
        inside: (&Permit<CreateSandbox>, &Permit<Execute>),
        new: NewBuild,
        context: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageJob> {
        self.build_image(permit, inside, new, context).await
    }

    fn image_job(&self, permit: &Permit<ReadImage>, id: ImageJobId) -> Result<ImageJob> {
        self.image_job(permit, id)
    }

    fn image_job_log(
        &self,
        permit: &Permit<ReadImage>,
        id: ImageJobId,
        part: (u64, bool),
    ) -> Result<BoxStream<'static, Bytes>> {
        self.image_job_log(permit, id, part)
    }

    fn image_jobs(&self, permit: &Permit<ReadImage>, page: Page<ImageJobId>) -> Vec<ImageJob> {
        self.image_jobs(permit, page)
    }

    async fn cancel_image_job(&self, permit: &Permit<ImportImage>, id: ImageJobId) -> Result<ImageJob> {
        self.cancel_image_job(permit, id).await
    }

    async fn remove_image(&self, permit: &Permit<RemoveImage>, name: &ImageName) -> Result<RemovedImages> {
        self.remove_image(permit, name).await
    }

    async fn prune_images(&self, permit: &Permit<RemoveImage>) -> Result<RemovedImages> {
        self.prune_images(permit).await
    }
}
