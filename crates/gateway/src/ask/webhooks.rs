//! Webhooks, and what became of deliveries, as the gateway asks for it.

use async_trait::async_trait;
use sentinal_auth::{CreateWebhook, Permit, ReadWebhook, RemoveWebhook, TestWebhook, UpdateWebhook};
use sentinal_controller::{Controller, CreatedWebhook, DeliveryRecord, NewWebhook, Page, WebhookAnswer, WebhookRecord};
use sentinal_model::{Result, WebhookId, WebhookUpdate};

/// Who is told of events, and what became of it.
#[async_trait]
#[expect(missing_docs, reason = "the controller's own methods say it")]
pub trait AskWebhooks: Send + Sync {
    async fn create_webhook(&self, permit: &Permit<CreateWebhook>, new: NewWebhook) -> Result<CreatedWebhook>;
    async fn webhooks(&self, permit: &Permit<ReadWebhook>, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>>;
    async fn webhook(&self, permit: &Permit<ReadWebhook>, id: WebhookId) -> Result<WebhookRecord>;
    async fn update_webhook(
        &self,
        permit: &Permit<UpdateWebhook>,
        id: WebhookId,
        update: WebhookUpdate,
    ) -> Result<WebhookRecord>;
    async fn remove_webhook(&self, permit: &Permit<RemoveWebhook>, id: WebhookId) -> Result<()>;
    async fn test_webhook(&self, permit: &Permit<TestWebhook>, id: WebhookId) -> Result<WebhookAnswer>;
    async fn deliveries(
        &self,
        permit: &Permit<ReadWebhook>,
        id: WebhookId,
        page: Page<i64>,
    ) -> Result<Vec<DeliveryRecord>>;
}

#[async_trait]
impl AskWebhooks for Controller {
    async fn create_webhook(&self, permit: &Permit<CreateWebhook>, new: NewWebhook) -> Result<CreatedWebhook> {
        self.create_webhook(permit, new).await
    }

    async fn webhooks(&self, permit: &Permit<ReadWebhook>, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>> {
        self.webhooks(permit, page).await
    }

    async fn webhook(&self, permit: &Permit<ReadWebhook>, id: WebhookId) -> Result<WebhookRecord> {
        self.webhook(permit, id).await
    }

    async fn update_webhook(
        &self,
        permit: &Permit<UpdateWebhook>,
        id: WebhookId,
        update: WebhookUpdate,
    ) -> Result<WebhookRecord> {
        self.update_webhook(permit, id, update).await
    }

    async fn remove_webhook(&self, permit: &Permit<RemoveWebhook>, id: WebhookId) -> Result<()> {
        self.remove_webhook(permit, id).await
    }

    async fn test_webhook(&self, permit: &Permit<TestWebhook>, id: WebhookId) -> Result<WebhookAnswer> {
        self.test_webhook(permit, id).await
    }

    async fn deliveries(
        &self,
        permit: &Permit<ReadWebhook>,
        id: WebhookId,
        page: Page<i64>,
    ) -> Result<Vec<DeliveryRecord>> {
        self.deliveries(permit, id, page).await
    }
}
