//! Keys, as the fake has it.

use async_trait::async_trait;
use sentinal_auth::{ApiKey, CreateKey, NewKey, Permit, ReadKey, ReadSelf, RevokeKey};
use sentinal_controller::{KeyRecord, Page};
use sentinal_gateway::AskKeys;
use sentinal_model::{Error, KeyId, Result};

use super::{Fake, NOW};

#[async_trait]
impl AskKeys for Fake {
    async fn create_key(&self, permit: &Permit<CreateKey>, new: NewKey) -> Result<(ApiKey, KeyRecord)> {
        let key = ApiKey::generate()?;
        let record = key.record(permit.tenant().clone(), new.role, &new.name, NOW);
        Ok((key, KeyRecord { expires_at: new.expires_at, ..record }))
    }

    async fn key(&self, _: &Permit<ReadKey>, id: KeyId) -> Result<KeyRecord> {
        Err(Error::not_found(format!("{id} does not exist")))
    }

    async fn own_key(&self, permit: &Permit<ReadSelf>) -> Result<KeyRecord> {
        Err(Error::not_found(format!("{} does not exist", permit.key())))
    }

    async fn list_keys(&self, _: &Permit<ReadKey>, _: Page<KeyId>) -> Result<Vec<KeyRecord>> {
        Ok(Vec::new())
    }

    async fn revoke_key(&self, _: &Permit<RevokeKey>, id: KeyId) -> Result<KeyRecord> {
        Err(Error::not_found(format!("{id} does not exist")))
    }
}
