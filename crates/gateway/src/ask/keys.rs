//! Keys, as the gateway asks for it.

use async_trait::async_trait;
use sentinal_auth::{ApiKey, CreateKey, NewKey, Permit, ReadKey, ReadSelf, RevokeKey};
use sentinal_controller::{Controller, KeyRecord, Page};
use sentinal_model::{KeyId, Result};

/// Keys of the API.
#[async_trait]
#[expect(missing_docs, reason = "the controller's own methods say it")]
pub trait AskKeys: Send + Sync {
    async fn create_key(&self, permit: &Permit<CreateKey>, new: NewKey) -> Result<(ApiKey, KeyRecord)>;
    async fn key(&self, permit: &Permit<ReadKey>, id: KeyId) -> Result<KeyRecord>;
    async fn own_key(&self, permit: &Permit<ReadSelf>) -> Result<KeyRecord>;
    async fn list_keys(&self, permit: &Permit<ReadKey>, page: Page<KeyId>) -> Result<Vec<KeyRecord>>;
    async fn revoke_key(&self, permit: &Permit<RevokeKey>, id: KeyId) -> Result<KeyRecord>;
}

#[async_trait]
impl AskKeys for Controller {
    async fn create_key(&self, permit: &Permit<CreateKey>, new: NewKey) -> Result<(ApiKey, KeyRecord)> {
        self.create_key(permit, new).await
    }

    async fn key(&self, permit: &Permit<ReadKey>, id: KeyId) -> Result<KeyRecord> {
        self.key(permit, id).await
    }

    async fn own_key(&self, permit: &Permit<ReadSelf>) -> Result<KeyRecord> {
        self.own_key(permit).await
    }

    async fn list_keys(&self, permit: &Permit<ReadKey>, page: Page<KeyId>) -> Result<Vec<KeyRecord>> {
        self.list_keys(permit, page).await
    }

    async fn revoke_key(&self, permit: &Permit<RevokeKey>, id: KeyId) -> Result<KeyRecord> {
        self.revoke_key(permit, id).await
    }
}
