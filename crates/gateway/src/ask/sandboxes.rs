//! The life of sandboxes, as the gateway asks for it.

use async_trait::async_trait;
use sentinal_auth::{CreateSandbox, DestroySandbox, PauseSandbox, Permit, ReadSandbox, ResumeSandbox, UpdateSandbox};
use sentinal_controller::{Controller, Created, HostUsage, NewSandbox, Page, SandboxFilter, SandboxRecord};
use sentinal_model::{Result, SandboxId, SandboxUpdate};

/// The life of sandboxes.
#[async_trait]
#[expect(missing_docs, reason = "the controller's own methods say it")]
pub trait AskSandboxes: Send + Sync {
    async fn create(&self, permit: &Permit<CreateSandbox>, new: NewSandbox) -> Result<Created>;
    async fn sandbox(&self, permit: &Permit<ReadSandbox>, id: SandboxId) -> Result<SandboxRecord>;
    async fn sandboxes(
        &self,
        permit: &Permit<ReadSandbox>,
        filter: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Result<Vec<SandboxRecord>>;
    async fn stats(&self, permit: &Permit<ReadSandbox>, id: SandboxId) -> Result<(SandboxRecord, HostUsage)>;
    async fn destroy(&self, permit: &Permit<DestroySandbox>, id: SandboxId) -> Result<SandboxRecord>;
    async fn update(
        &self,
        permit: &Permit<UpdateSandbox>,
        id: SandboxId,
        update: SandboxUpdate,
    ) -> Result<SandboxRecord>;
    async fn pause(&self, permit: &Permit<PauseSandbox>, id: SandboxId) -> Result<SandboxRecord>;
    async fn resume(&self, permit: &Permit<ResumeSandbox>, id: SandboxId) -> Result<SandboxRecord>;
}

#[async_trait]
impl AskSandboxes for Controller {
    async fn create(&self, permit: &Permit<CreateSandbox>, new: NewSandbox) -> Result<Created> {
        self.create(permit, new).await
    }

    async fn sandbox(&self, permit: &Permit<ReadSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.sandbox(permit, id).await
    }

    async fn sandboxes(
        &self,
        permit: &Permit<ReadSandbox>,
        filter: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Result<Vec<SandboxRecord>> {
        self.sandboxes(permit, filter, page).await
    }

    async fn stats(&self, permit: &Permit<ReadSandbox>, id: SandboxId) -> Result<(SandboxRecord, HostUsage)> {
        self.stats(permit, id).await
    }

    async fn destroy(&self, permit: &Permit<DestroySandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.destroy(permit, id).await
    }

    async fn update(
        &self,
        permit: &Permit<UpdateSandbox>,
        id: SandboxId,
        update: SandboxUpdate,
    ) -> Result<SandboxRecord> {
        self.update(permit, id, update).await
    }

    async fn pause(&self, permit: &Permit<PauseSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.pause(permit, id).await
    }

    async fn resume(&self, permit: &Permit<ResumeSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.resume(permit, id).await
    }
}
