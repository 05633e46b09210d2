//! The embedded store: SQLite in one file.
//!
//! ```text
//!  write() --> queue --> writer: one thread, one connection, many batches per commit
//!                           |
//!                           +--> checkpoints, beside the commits
//!  reads ---> two read-only connections
//! ```
//!
//! A lock file beside the database keeps a second server out. Start at [`SqliteStore::open`], then `writer`.

mod apply;
mod changes;
mod checkpoint;
mod failure;
mod open;
mod read;
mod remove;
mod usage;
mod writer;

pub use open::OpenError;

use std::path::Path;

use async_trait::async_trait;
use sentinal_model::{ExecutionId, IdempotencyKey, KeyId, Millis, Result, SandboxId, TenantId, WebhookId};
use tokio::task::spawn_blocking;

use self::{
    read::Reads,
    writer::{Job, Writer},
};
use crate::{
    DeliveryRecord, EventRecord, ExecutionRecord, IdempotencyRecord, KeyRecord, Page, Removed, SandboxFilter,
    SandboxRecord, Store, UsageQuery, UsageRecord, WebhookRecord, Write, check,
};

/// A store in one SQLite file. Dropping it lets the writer finish what was handed to it.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    reads: Reads,
}

impl SqliteStore {
    /// Opens the database at `path`, or creates it (mode 0600; its folder must exist). Brings its tables up to
    /// this version; one from a newer version is refused, and so is one that another server has open.
    pub async fn open(path: &Path) -> std::result::Result<Self, OpenError> {
        let path = path.to_owned();
        let opening = spawn_blocking(move || {
            let database = open::Database::lock(&path)?;
            let connection = database.migrate()?;
            Ok(Self { reads: Reads::new(database.clone()), writer: Writer::start(database, connection)? })
        });
        opening.await.unwrap_or_else(|error| Err(OpenError::Writer { source: error.into() }))
    }

    /// Waits until everything is on the disk and in the database file, and the lock is free.
    pub async fn close(self) {
        self.reads.close().await;
        self.writer.close().await;
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        check::batch(&writes)?;
        self.writer.run(Job::Write(writes)).await.map(drop)
    }

    async fn sandbox(&self, id: SandboxId) -> Result<Option<SandboxRecord>> {
        self.reads.sandbox(id).await
    }

    async fn sandboxes(
        &self,
        tenant: &TenantId,
        filter: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Result<Vec<SandboxRecord>> {
        self.reads.sandboxes(tenant, filter, page).await
    }

    async fn unfinished_sandboxes(&self) -> Result<Vec<SandboxRecord>> {
        self.reads.unfinished_sandboxes().await
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<ExecutionRecord>> {
        self.reads.execution(id).await
    }

    async fn executions(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Result<Vec<ExecutionRecord>> {
        self.reads.executions(tenant, sandbox, page).await
    }

    async fn running_executions(&self) -> Result<Vec<ExecutionRecord>> {
        self.reads.running_executions().await
    }

    async fn idempotency(&self, tenant: &TenantId, key: &IdempotencyKey) -> Result<Option<IdempotencyRecord>> {
        self.reads.idempotency(tenant, key).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>> {
        self.reads.keys().await
    }

    async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>> {
        self.reads.key(id).await
    }

    async fn keys_of(&self, tenant: &TenantId, page: Page<KeyId>) -> Result<Vec<KeyRecord>> {
        self.reads.keys_of(tenant, page).await
    }

    async fn usage(&self, tenant: &TenantId, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        self.reads.usage(tenant, query).await
    }

    async fn events(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<EventRecord>> {
        self.reads.events(tenant, sandbox, after, rows_max).await
    }

    async fn last_event(&self, tenant: &TenantId) -> Result<Option<EventRecord>> {
        self.reads.last_event(tenant).await
    }

    async fn webhook(&self, id: WebhookId) -> Result<Option<WebhookRecord>> {
        self.reads.webhook(id).await
    }

    async fn webhooks(&self, tenant: &TenantId, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>> {
        self.reads.webhooks(tenant, page).await
    }

    async fn all_webhooks(&self) -> Result<Vec<WebhookRecord>> {
        self.reads.all_webhooks().await
    }

    async fn deliveries(&self, webhook: WebhookId, page: Page<i64>) -> Result<Vec<DeliveryRecord>> {
        self.reads.deliveries(webhook, page).await
    }

    async fn remove_finished(&self, before: Millis, rows_max: u32) -> Result<Removed> {
        remove::finished(&self.writer, before, rows_max).await
    }

    async fn stored_output(&self) -> Result<Vec<(TenantId, u64)>> {
        self.reads.stored_output().await
    }

    async fn ping(&self) -> Result<()> {
        self.writer.run(Job::Heartbeat).await.map(drop)
    }

    async fn touch_key(&self, id: KeyId, at: Millis) -> Result<()> {
        self.writer.run(Job::TouchKey(id, at)).await.map(drop)
    }
}
