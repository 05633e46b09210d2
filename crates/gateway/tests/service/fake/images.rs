//! Images, and the jobs that make them, as the fake has it.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use sentinal_auth::{CreateSandbox, Execute, ImportImage, Permit, ReadImage, RemoveImage};
use sentinal_controller::{ImageDetails, ImageJob, ImageView, NewBuild, NewImage, Page, PullRequest, RemovedImages};
use sentinal_gateway::AskImages;
use sentinal_model::{Error, ImageJobId, ImageName, Result};

use super::{Fake, NOW};

const DIGEST: &str = "sha256:5606d7dda758edf162d9e902128efbfd57b95831b329af495e65f974f9af0588";

#[async_trait]
impl AskImages for Fake {
    async fn images(&self, _: &Permit<ReadImage>, _: Page<ImageName>) -> Result<Vec<ImageView>> {
        Ok(vec![ImageView { name: ImageName::default(), digest: DIGEST.to_owned(), size_bytes: 4096 }])
    }

    async fn image(&self, _: &Permit<ReadImage>, name: &ImageName) -> Result<ImageDetails> {
        let (source, config) = (String::new(), sentinal_controller::ImageConfig::default());
        Ok(ImageDetails {
            name: name.clone(),
            digest: DIGEST.to_owned(),
            size_bytes: 4096,
            source,
            created: NOW,
            config,
        })
    }

    async fn import_image(
        &self,
        _: &Permit<ImportImage>,
        new: NewImage,
        mut archive: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageDetails> {
        let mut size_bytes = 0;
        while let Some(bytes) = archive.next().await {
            size_bytes += u64::try_from(bytes?.len()).unwrap();
        }
        let (source, config) = (new.source, sentinal_controller::ImageConfig::default());
        Ok(ImageDetails { name: new.name, digest: DIGEST.to_owned(), size_bytes, source, created: NOW, config })
    }

    async fn pull_image(&self, _: &Permit<ImportImage>, name: ImageName, pull: PullRequest) -> Result<ImageJob> {
        self.failure()?;
        Ok(ImageJob {
            id: ImageJobId::from_bytes([7; 16]),
            tenant: sentinal_model::TenantId::default_tenant(),
            name,
            kind: sentinal_controller::ImageJobKind::Pull { reference: pull.reference },
            state: sentinal_controller::ImageJobState::Running,
            progress: sentinal_controller::ImageProgress::default(),
            created_at: NOW,
            finished_at: None,
        })
    }

    async fn build_image(
        &self,
        permit: &Permit<ImportImage>,
        _: (&Permit<CreateSandbox>, &Permit<Execute>),
        new: NewBuild,
        mut context: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageJob> {
        while let Some(bytes) = context.next().await {
            bytes?;
        }
        let pull = PullRequest { reference: new.file, credentials: None };
        self.pull_image(permit, new.name, pull).await
    }

    fn image_job(&self, _: &Permit<ReadImage>, _: ImageJobId) -> Result<ImageJob> {
        Err(Error::not_found("there is no pull with this id"))
    }

    fn image_job_log(&self, _: &Permit<ReadImage>, _: ImageJobId, _: (u64, bool)) -> Result<BoxStream<'static, Bytes>> {
        Err(Error::not_found("there is no build with this id"))
    }

    fn image_jobs(&self, _: &Permit<ReadImage>, _: Page<ImageJobId>) -> Vec<ImageJob> {
        Vec::new()
    }

    async fn cancel_image_job(&self, permit: &Permit<ImportImage>, _: ImageJobId) -> Result<ImageJob> {
        Err(Error::not_found(format!("{} has no pull with this id", permit.tenant())))
    }

    async fn remove_image(&self, _: &Permit<RemoveImage>, _: &ImageName) -> Result<RemovedImages> {
        Ok(RemovedImages { digests: vec![DIGEST.to_owned()], bytes: 4096 })
    }

    async fn prune_images(&self, _: &Permit<RemoveImage>) -> Result<RemovedImages> {
        Ok(RemovedImages::default())
    }
}
