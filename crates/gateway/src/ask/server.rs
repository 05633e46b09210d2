//! What the server has, and what was used of it, as the gateway asks for it.

use async_trait::async_trait;
use sentinal_auth::{Permit, ReadEngine, ReadQuota, ReadUsage};
use sentinal_controller::{Controller, EngineStatus, Health, Quota, UsageQuery, UsageRecord};
use sentinal_model::Result;

/// What the server has, and what was used of it.
#[async_trait]
#[expect(missing_docs, reason = "the controller's own methods say it")]
pub trait AskServer: Send + Sync {
    fn engines(&self, permit: &Permit<ReadEngine>) -> Vec<EngineStatus>;
    async fn usage(&self, permit: &Permit<ReadUsage>, query: UsageQuery) -> Result<Vec<UsageRecord>>;
    fn quotas(&self, permit: &Permit<ReadQuota>) -> Vec<Quota>;
    fn health(&self) -> Health;
}

#[async_trait]
impl AskServer for Controller {
    fn engines(&self, permit: &Permit<ReadEngine>) -> Vec<EngineStatus> {
        self.engines(permit)
    }

    async fn usage(&self, permit: &Permit<ReadUsage>, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        self.usage(permit, query).await
    }

    fn quotas(&self, permit: &Permit<ReadQuota>) -> Vec<Quota> {
        self.quotas(permit)
    }

    fn health(&self) -> Health {
        self.health()
    }
}
