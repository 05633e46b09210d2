//! The store, as one run of the server uses it: a real one behind a disk that fails.

use std::sync::Arc;

use async_trait::async_trait;
use sentinal_controller::{ExecutionRecord, Page, SandboxRecord};
use sentinal_model::{Code, Error, ExecutionId, IdempotencyKey, KeyId, Millis, Result, SandboxId, TenantId, WebhookId};
use sentinal_store::{
    DeliveryRecord, EventRecord, IdempotencyRecord, KeyRecord, Removed, SandboxFilter, Store, UsageQuery, UsageRecord,
    WebhookRecord, Write,
};

use crate::{ledger::Ledger, life::Life, sabotage::Sabotage, world::World};

/// A store with trouble.
#[derive(Debug)]
pub(crate) struct SimStore {
    pub(crate) world: Arc<World>,
    pub(crate) life: Life,
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) ledger: Arc<Ledger>,
}

impl SimStore {
    fn trouble(&self) -> Result<()> {
        if self.world.fails(self.world.plan.disk_full) {
            return Err(Error::new(Code::NoCapacity, "the disk is full"));
        }
        if self.world.fails(self.world.plan.store) {
            return Err(Error::new(Code::Unavailable, "the store fails"));
        }
        Ok(())
    }

    async fn read(&self, what: &'static str) -> Result<()> {
        self.world.step(&self.life, what).await;
        if self.world.fails(self.world.plan.store) {
            return Err(Error::new(Code::Unavailable, "the store fails"));
        }
        Ok(())
    }

    /// Whether a pooled sandbox becomes somebody's.
    fn claims(&self, writes: &[Write]) -> bool {
        let is_claim = |record: &SandboxRecord| {
            record.pooled.is_none() && self.ledger.find(&record.id).is_some_and(|known| known.pooled.is_some())
        };
        writes.iter().any(|write| matches!(write, Write::Sandbox(record) if is_claim(record)))
    }

    /// What the store holds already comes again, an earlier state of it.
    fn revive(&self, writes: &[Write]) {
        for write in writes {
            if let Write::Sandbox(record) = write {
                let mut old = record.clone();
                old.generation = sentinal_model::Generation::FIRST;
                self.ledger.commit(&[Write::Sandbox(old)]);
            }
        }
    }
}

#[async_trait]
impl Store for SimStore {
    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        self.world.step(&self.life, "commits").await;
        self.trouble()?;
        let claims = self.claims(&writes);
        if self.world.sabotaged(Sabotage::StoreForgets)
            || (claims && self.world.sabotaged(Sabotage::StoreForgetsClaims))
        {
            return Ok(());
        }
        if claims && self.world.sabotaged(Sabotage::StoreUnclaims) {
            // Whoever asks finds it there, as long as this server runs.
            self.ledger.commit(&writes);
            return Ok(());
        }
        let mut stored = writes.clone();
        if self.world.sabotaged(Sabotage::StoreForgetsRequests) {
            stored.retain(|write| !matches!(write, Write::Idempotency(_)));
        }
        let done = self.inner.write(stored).await;
        if done.is_ok() {
            self.tell(&writes);
            self.ledger.commit(&writes);
        }
        if self.world.sabotaged(Sabotage::StoreRevives) {
            self.revive(&writes);
        }
        self.world.step(&self.life, "has committed").await;
        // Nobody is told of what was stored.
        self.trouble().inspect_err(|_| self.ledger.untold(&writes))?;
        done
    }

    async fn sandbox(&self, id: SandboxId) -> Result<Option<SandboxRecord>> {
        self.read("reads a sandbox").await?;
        self.inner.sandbox(id).await
    }

    async fn sandboxes(
        &self,
        tenant: &TenantId,
        filter: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Result<Vec<SandboxRecord>> {
        self.read("reads sandboxes").await?;
        self.inner.sandboxes(tenant, filter, page).await
    }

    async fn unfinished_sandboxes(&self) -> Result<Vec<SandboxRecord>> {
        self.read("reads unfinished sandboxes").await?;
        let mut unfinished = self.inner.unfinished_sandboxes().await?;
        if self.world.plan.sabotage == Sabotage::StoreHidesPools {
            unfinished.retain(|record| record.pooled.is_none());
        }
        Ok(unfinished)
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<ExecutionRecord>> {
        self.read("reads an execution").await?;
        self.inner.execution(id).await
    }

    async fn executions(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Result<Vec<ExecutionRecord>> {
        self.read("reads executions").await?;
        self.inner.executions(tenant, sandbox, page).await
    }

    async fn running_executions(&self) -> Result<Vec<ExecutionRecord>> {
        self.read("reads running executions").await?;
        self.inner.running_executions().await
    }

    async fn idempotency(&self, tenant: &TenantId, key: &IdempotencyKey) -> Result<Option<IdempotencyRecord>> {
        self.read("looks an idempotency key up").await?;
        self.inner.idempotency(tenant, key).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>> {
        self.inner.keys().await
    }

    async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>> {
        self.inner.key(id).await
    }

    async fn keys_of(&self, tenant: &TenantId, page: Page<KeyId>) -> Result<Vec<KeyRecord>> {
        self.inner.keys_of(tenant, page).await
    }

    async fn usage(&self, tenant: &TenantId, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        self.inner.usage(tenant, query).await
    }

    async fn events(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<EventRecord>> {
        self.read("reads events").await?;
        self.inner.events(tenant, sandbox, after, rows_max).await
    }

    async fn last_event(&self, tenant: &TenantId) -> Result<Option<EventRecord>> {
        self.read("reads the newest event").await?;
        self.inner.last_event(tenant).await
    }

    async fn webhook(&self, id: WebhookId) -> Result<Option<WebhookRecord>> {
        self.read("reads a webhook").await?;
        self.inner.webhook(id).await
    }

    async fn webhooks(&self, tenant: &TenantId, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>> {
        self.read("reads webhooks").await?;
        self.inner.webhooks(tenant, page).await
    }

    async fn all_webhooks(&self) -> Result<Vec<WebhookRecord>> {
        self.inner.all_webhooks().await
    }

    async fn deliveries(&self, webhook: WebhookId, page: Page<i64>) -> Result<Vec<DeliveryRecord>> {
        self.read("reads deliveries").await?;
        self.inner.deliveries(webhook, page).await
    }

    async fn remove_finished(&self, before: Millis, rows_max: u32) -> Result<Removed> {
        self.read("removes old records").await?;
        let removed = self.inner.remove_finished(before, rows_max).await?;
        self.ledger.remove_finished(before);
        self.world.step(&self.life, "has removed old records").await;
        Ok(removed)
    }

    async fn stored_output(&self) -> Result<Vec<(TenantId, u64)>> {
        self.inner.stored_output().await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn touch_key(&self, id: KeyId, at: Millis) -> Result<()> {
        self.inner.touch_key(id, at).await
    }
}

impl SimStore {
    fn tell(&self, writes: &[Write]) {
        for write in writes {
            if let Write::Sandbox(record) = write {
                self.world.tell(format_args!("store: {} {} {:?}", record.id, record.generation, record.phase));
            } else if let Write::Execution(record) = write {
                self.world.tell(format_args!("store: {} {}", record.id, state(record)));
            }
        }
    }
}

fn state(record: &ExecutionRecord) -> String {
    match &record.state {
        sentinal_controller::ExecutionState::Running => format!("runs in {}", record.sandbox),
        sentinal_controller::ExecutionState::Finished { ended, stdout, stderr, .. } => {
            format!("ended {:?} with {} and {} bytes", ended.outcome, stdout.bytes_stored, stderr.bytes_stored)
        }
    }
}
