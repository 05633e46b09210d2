//! What must survive: sandboxes, executions, keys and events.
//!
//! [`Store`] is the only door. A write has happened when its future answers: it is on the disk, and a crash
//! of the process or of the host does not take it back. All writes go through one writer that commits many
//! of them at once; an answer that says "stored" is never given earlier.
//!
//! Start at [`Store`], then the records, then [`SqliteStore`].

mod check;
mod limits;
#[cfg(feature = "memory")]
mod memory;
mod meter;
mod record;
mod row;
mod sqlite;

#[cfg(feature = "memory")]
pub use memory::MemoryStore;
pub use record::{
    Build, DeliveryRecord, EventRecord, ExecutionRecord, ExecutionState, IdempotencyRecord, KeyRecord, NewDelivery,
    NewEvent, Output, OutputPlace, Page, Removed, SandboxFilter, SandboxRecord, UsageQuery, UsageRecord,
    WebhookProgress, WebhookRecord, Write,
};
pub use sqlite::{OpenError, SqliteStore};

use async_trait::async_trait;
use sentinal_model::{ExecutionId, IdempotencyKey, KeyId, Millis, Result, SandboxId, TenantId, WebhookId};

/// What must survive, whatever holds it.
///
/// `conflict` is final. `no_capacity` (the disk is full) and `unavailable` mean that the batch is not known to be
/// stored: perhaps it is, never a part of it. Writing the same sandboxes and executions again is harmless.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Applies all of `writes` in one transaction, durably, in order. A write that finds a newer generation of
    /// its sandbox in the store fails the whole batch with `conflict`.
    async fn write(&self, writes: Vec<Write>) -> Result<()>;

    /// A sandbox by its id, finished ones within the retention time included.
    async fn sandbox(&self, id: SandboxId) -> Result<Option<SandboxRecord>>;

    /// Sandboxes of a tenant, newest first: by when they were created, then by id.
    async fn sandboxes(
        &self,
        tenant: &TenantId,
        filter: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Result<Vec<SandboxRecord>>;

    /// Every sandbox that is not finished: what a start has to reconcile.
    async fn unfinished_sandboxes(&self) -> Result<Vec<SandboxRecord>>;

    /// An execution by its id.
    async fn execution(&self, id: ExecutionId) -> Result<Option<ExecutionRecord>>;

    /// Executions of a tenant, newest first, of one sandbox if named.
    async fn executions(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Result<Vec<ExecutionRecord>>;

    /// Every execution that is recorded as running: what a start has to reconcile.
    async fn running_executions(&self) -> Result<Vec<ExecutionRecord>>;

    /// What the tenant's request with this idempotency key has made, if it is not older than the retention time.
    async fn idempotency(&self, tenant: &TenantId, key: &IdempotencyKey) -> Result<Option<IdempotencyRecord>>;

    /// Every key that has not been revoked.
    async fn keys(&self) -> Result<Vec<KeyRecord>>;

    /// A key by its id, revoked or not.
    async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>>;

    /// Keys of a tenant, those that were revoked included, newest first: by when they were created, then by id.
    async fn keys_of(&self, tenant: &TenantId, page: Page<KeyId>) -> Result<Vec<KeyRecord>>;

    /// What a tenant has used, added up as asked, in order.
    async fn usage(&self, tenant: &TenantId, query: UsageQuery) -> Result<Vec<UsageRecord>>;

    /// Events of a tenant after a cursor, oldest first, of one sandbox if named.
    async fn events(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<EventRecord>>;

    /// The newest event of a tenant.
    async fn last_event(&self, tenant: &TenantId) -> Result<Option<EventRecord>>;

    /// A webhook by its id.
    async fn webhook(&self, id: WebhookId) -> Result<Option<WebhookRecord>>;

    /// Webhooks of a tenant, newest first.
    async fn webhooks(&self, tenant: &TenantId, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>>;

    /// Every webhook of every tenant: what a start has to go on with.
    async fn all_webhooks(&self) -> Result<Vec<WebhookRecord>>;

    /// Attempts of a webhook that are remembered, newest first.
    async fn deliveries(&self, webhook: WebhookId, page: Page<i64>) -> Result<Vec<DeliveryRecord>>;

    /// Removes finished sandboxes, their executions and events that ended before `before`, at most
    /// `rows_max` sandboxes, and events of no sandbox and idempotency keys from before then, and what was used long before; answers the executions whose output
    /// files may go. Events that were not over for a webhook are counted there. Takes several transactions: what it did before a failure is answered, not the failure.
    async fn remove_finished(&self, before: Millis, rows_max: u32) -> Result<Removed>;

    /// How much output of executions that have ended is stored, in bytes by tenant.
    async fn stored_output(&self) -> Result<Vec<(TenantId, u64)>>;

    /// Whether a write would be taken now; for health checks. It writes, so it costs what a write costs.
    async fn ping(&self) -> Result<()>;

    /// When a key was last used; best effort.
    async fn touch_key(&self, id: KeyId, at: Millis) -> Result<()>;
}
