//! Webhooks, and what became of deliveries, as the fake has it.

use std::time::Duration;

use async_trait::async_trait;
use sentinal_auth::{CreateWebhook, Permit, ReadWebhook, RemoveWebhook, TestWebhook, UpdateWebhook};
use sentinal_controller::{CreatedWebhook, DeliveryRecord, NewWebhook, Page, WebhookAnswer, WebhookRecord};
use sentinal_gateway::AskWebhooks;
use sentinal_model::{DeliveryResult, Error, Generation, Result, WebhookId, WebhookSecret, WebhookUpdate};
use sentinal_store::{NewDelivery, WebhookProgress};

use super::{Fake, NOW};

#[async_trait]
impl AskWebhooks for Fake {
    async fn create_webhook(&self, permit: &Permit<CreateWebhook>, new: NewWebhook) -> Result<CreatedWebhook> {
        self.failure()?;
        let record = WebhookRecord {
            id: WebhookId::generate(),
            tenant: permit.tenant().clone(),
            generation: Generation::FIRST,
            spec: new.spec,
            secret: WebhookSecret::from_bytes([7; 32]),
            is_enabled: true,
            disabled_reason: String::new(),
            created_at: NOW,
            progress: WebhookProgress::default(),
            lost: 0,
        };
        self.state().webhooks.insert(record.id, record.clone());
        Ok(CreatedWebhook { record, is_replay: new.once.is_some() })
    }

    async fn webhooks(&self, _: &Permit<ReadWebhook>, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>> {
        let state = self.state();
        let newest_first = state.webhooks.values().rev();
        let after = newest_first.filter(|record| page.after.is_none_or(|after| record.id < after));
        Ok(after.take(usize::try_from(page.rows_max).unwrap()).cloned().collect())
    }

    async fn webhook(&self, _: &Permit<ReadWebhook>, id: WebhookId) -> Result<WebhookRecord> {
        self.state().webhooks.get(&id).cloned().ok_or_else(|| Error::not_found("there is no such webhook"))
    }

    async fn update_webhook(
        &self,
        _: &Permit<UpdateWebhook>,
        id: WebhookId,
        update: WebhookUpdate,
    ) -> Result<WebhookRecord> {
        let mut state = self.state();
        let record = state.webhooks.get_mut(&id).ok_or_else(|| Error::not_found("there is no such webhook"))?;
        record.is_enabled = update.is_enabled.unwrap_or(record.is_enabled);
        Ok(record.clone())
    }

    async fn remove_webhook(&self, _: &Permit<RemoveWebhook>, id: WebhookId) -> Result<()> {
        let removed = self.state().webhooks.remove(&id);
        removed.map(drop).ok_or_else(|| Error::not_found("there is no such webhook"))
    }

    async fn test_webhook(&self, _: &Permit<TestWebhook>, _: WebhookId) -> Result<WebhookAnswer> {
        let (status, said, took) = (Some(503), "busy".to_owned(), Duration::from_millis(3));
        Ok(WebhookAnswer { status, said, took, ..WebhookAnswer::default() })
    }

    async fn deliveries(
        &self,
        permit: &Permit<ReadWebhook>,
        webhook: WebhookId,
        page: Page<i64>,
    ) -> Result<Vec<DeliveryRecord>> {
        let delivery = |number: i64| NewDelivery {
            webhook,
            tenant: permit.tenant().clone(),
            event: number * 10,
            name: "Sandbox Created".to_owned(),
            attempt: 1,
            at: NOW,
            took: Duration::from_millis(3),
            result: DeliveryResult::Failed,
            status: None,
            error: "refused".to_owned(),
            retry_at: Some(NOW),
        };
        let numbers = (1..page.after.unwrap_or(4)).rev().take(usize::try_from(page.rows_max).unwrap());
        Ok(numbers.map(|number| DeliveryRecord { number, delivery: delivery(number) }).collect())
    }
}
