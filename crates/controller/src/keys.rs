//! Keys: made, looked at, revoked. The store first, then memory; what was revoked is refused from then on, and what
//! stands open with it ends.

use std::sync::Arc;

use sentinal_auth::{ApiKey, CreateKey, Keys, NewKey, Permit, ReadKey, ReadSelf, RevokeKey};
use sentinal_model::{Error, KeyId, Result, TenantId, limits};
use sentinal_store::{KeyRecord, Page, Write};

use crate::{api::Controller, context::Context, events};

impl Controller {
    /// The keys that are taken, for whoever recognises callers.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.context.keys)
    }

    /// Makes a key, durably. Its secret is in the answer and nowhere else.
    pub async fn create_key(&self, permit: &Permit<CreateKey>, new: NewKey) -> Result<(ApiKey, KeyRecord)> {
        let (own, permit) = (Arc::clone(&self.context), permit.clone());
        let made = async move {
            let turn = own.keys.turn().await;
            let (key, record) = turn.draft(&permit, new)?;
            let event = events::key_created(&record, permit.key());
            own.write(vec![Write::Key(record.clone()), Write::Event(event)]).await?;
            turn.made(record.clone());
            Ok((key, record))
        };
        self.context.complete(made).await
    }

    /// A key as it is, revoked or not.
    pub async fn key(&self, permit: &Permit<ReadKey>, id: KeyId) -> Result<KeyRecord> {
        self.known_key(permit.tenant(), id).await
    }

    /// The key with which somebody asks.
    pub async fn own_key(&self, permit: &Permit<ReadSelf>) -> Result<KeyRecord> {
        self.known_key(permit.tenant(), permit.key()).await
    }

    /// Keys, newest first, those that were revoked included.
    pub async fn list_keys(&self, permit: &Permit<ReadKey>, page: Page<KeyId>) -> Result<Vec<KeyRecord>> {
        let stored = self.context.store().keys_of(permit.tenant(), page).await?;
        Ok(stored.into_iter().map(|record| self.as_used(record)).collect())
    }

    /// Revokes a key for good; one that is revoked stays as it is. `conflict` for the last one that could make another.
    pub async fn revoke_key(&self, permit: &Permit<RevokeKey>, id: KeyId) -> Result<KeyRecord> {
        let (own, permit) = (self.clone(), permit.clone());
        let revoked = async move {
            let context = &own.context;
            let turn = context.keys.turn().await;
            let record = own.known_key(permit.tenant(), id).await?;
            if record.revoked_at.is_some() {
                // The store may have taken what it said had failed.
                turn.revoked(&record);
                return Ok(record);
            }
            turn.check_revocation(&record)?;
            let at = context.now();
            let event = events::key_revoked(&record, permit.key(), at);
            context.write(vec![Write::RevokeKey { id, at }, Write::Event(event)]).await?;
            turn.revoked(&record);
            Ok(KeyRecord { revoked_at: Some(at), ..record })
        };
        self.context.complete(revoked).await
    }

    async fn known_key(&self, tenant: &TenantId, id: KeyId) -> Result<KeyRecord> {
        let stored = self.context.store().key(id).await?;
        let own = stored.filter(|record| record.tenant == *tenant);
        own.map(|record| self.as_used(record)).ok_or_else(|| Error::not_found(format!("{id} does not exist")))
    }

    /// This server may know of a use that is not written down yet.
    fn as_used(&self, record: KeyRecord) -> KeyRecord {
        let last_used_at = self.context.keys.used_at(record.id).max(record.last_used_at);
        KeyRecord { last_used_at, ..record }
    }
}

/// Writes down now and then which keys were used.
pub(crate) async fn keep(context: Arc<Context>) {
    loop {
        tokio::time::sleep(limits::KEY_USE_EVERY).await;
        write_uses(&context).await;
    }
}

/// Writes down which keys were used since this was last done.
pub(crate) async fn write_uses(context: &Context) {
    for (id, at) in context.keys.used_since() {
        if let Err(error) = context.store().touch_key(id, at).await {
            tracing::warn!(key = %id, ?error, "use of a key not written down");
        }
    }
}
