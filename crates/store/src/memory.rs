//! A store that forgets everything with its process: for tests and simulations.
//!
//! It keeps rows, not records, so what goes through it is converted as in a database, and it passes the same
//! conformance suite. Nothing in it waits, so a simulation that is seeded stays so.

mod tables;
mod usage;
mod webhooks;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sentinal_model::{
    ExecutionId, IdempotencyKey, KeyId, Millis, Result, SandboxId, TenantId, WebhookId, limits::PAGE_ROWS_MAX,
};

use self::tables::Tables;
use crate::{
    DeliveryRecord, EventRecord, ExecutionRecord, IdempotencyRecord, KeyRecord, Page, Removed, SandboxFilter,
    SandboxRecord, Store, UsageQuery, UsageRecord, WebhookRecord, Write, check, row::CorruptRow,
};

/// A store in memory. It survives a simulated crash for as long as somebody holds it.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// A store with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Nothing under the lock panics.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        check::batch(&writes)?;
        self.tables().write(&writes)
    }

    async fn sandbox(&self, id: SandboxId) -> Result<Option<SandboxRecord>> {
        let row = self.tables().sandboxes.get(&id.to_string()).cloned();
        Ok(row.map(SandboxRecord::try_from).transpose()?)
    }

    async fn sandboxes(
        &self,
        tenant: &TenantId,
        filter: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Result<Vec<SandboxRecord>> {
        let tables = self.tables();
        let mut newest_first: Vec<_> =
            tables.sandboxes.values().filter(|row| row.tenant_id == tenant.as_str()).collect();
        newest_first.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        let after = page.after.map(|id| (id.generated_at().0, id.to_string()));
        let after = after.map(|(generated_at, id)| {
            let row = newest_first.iter().find(|row| row.id == id);
            (row.map_or(generated_at, |row| row.created_at), id)
        });
        let of_page = newest_first
            .into_iter()
            .filter(|row| after.as_ref().is_none_or(|(created_at, id)| (row.created_at, &row.id) < (*created_at, id)));
        let all = records(of_page)?;
        let has = |record: &SandboxRecord, (key, value)| record.spec.labels.as_map().get(key) == Some(value);
        let matches = |record: &SandboxRecord| filter.labels.iter().all(|label| has(record, label));
        Ok(all.into_iter().filter(matches).take(rows(page.rows_max)).collect())
    }

    async fn unfinished_sandboxes(&self) -> Result<Vec<SandboxRecord>> {
        records(self.tables().sandboxes.values().filter(|row| !row.is_finished()))
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<ExecutionRecord>> {
        let row = self.tables().executions.get(&id.to_string()).cloned();
        Ok(row.map(ExecutionRecord::try_from).transpose()?)
    }

    async fn executions(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Result<Vec<ExecutionRecord>> {
        let tables = self.tables();
        let (sandbox, after) = (sandbox.map(|id| id.to_string()), page.after.map(|id| id.to_string()));
        let newest_first = tables.executions.values().rev();
        let of_page = newest_first
            .filter(|row| row.tenant_id == tenant.as_str() && is_after(&row.id, after.as_deref()))
            .filter(|row| sandbox.as_ref().is_none_or(|id| row.sandbox_id == *id));
        let listed: Vec<_> = of_page.take(rows(page.rows_max)).map(crate::row::ExecutionRow::listed).collect();
        records(listed.iter())
    }

    async fn running_executions(&self) -> Result<Vec<ExecutionRecord>> {
        records(self.tables().executions.values().filter(|row| !row.is_finished()))
    }

    async fn idempotency(&self, tenant: &TenantId, key: &IdempotencyKey) -> Result<Option<IdempotencyRecord>> {
        let row = self.tables().idempotency.get(&(tenant.to_string(), key.to_string())).cloned();
        Ok(row.map(IdempotencyRecord::try_from).transpose()?)
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>> {
        records(self.tables().keys.values().filter(|row| row.revoked_at.is_none()))
    }

    async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>> {
        let row = self.tables().keys.get(&id.to_string()).cloned();
        Ok(row.map(KeyRecord::try_from).transpose()?)
    }

    async fn keys_of(&self, tenant: &TenantId, page: Page<KeyId>) -> Result<Vec<KeyRecord>> {
        let tables = self.tables();
        let mut newest_first: Vec<_> = tables.keys.values().filter(|row| row.tenant_id == tenant.as_str()).collect();
        newest_first.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        let shown = match page.after.map(|id| id.to_string()) {
            Some(after) => newest_first.iter().position(|row| row.id == after).map_or(newest_first.len(), |at| at + 1),
            None => 0,
        };
        records(newest_first.into_iter().skip(shown).take(rows(page.rows_max)))
    }

    async fn usage(&self, tenant: &TenantId, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        self.tables().usage(tenant, query)
    }

    async fn events(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<EventRecord>> {
        let tables = self.tables();
        let sandbox = sandbox.map(|id| id.to_string());
        let of_page = tables
            .events
            .values()
            .filter(|row| row.tenant_id == tenant.as_str() && after < row.cursor)
            .filter(|row| sandbox.is_none() || row.sandbox_id == sandbox);
        records(of_page.take(rows(rows_max)))
    }

    async fn last_event(&self, tenant: &TenantId) -> Result<Option<EventRecord>> {
        let tables = self.tables();
        let newest = tables.events.values().rev().find(|row| row.tenant_id == tenant.as_str());
        Ok(newest.cloned().map(EventRecord::try_from).transpose()?)
    }

    async fn webhook(&self, id: WebhookId) -> Result<Option<WebhookRecord>> {
        let row = self.tables().webhooks.rows.get(&id.to_string()).cloned();
        Ok(row.map(WebhookRecord::try_from).transpose()?)
    }

    async fn webhooks(&self, tenant: &TenantId, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>> {
        let (tables, after) = (self.tables(), page.after.map(|id| id.to_string()));
        let newest_first = tables.webhooks.rows.values().rev();
        let of_page =
            newest_first.filter(|row| row.tenant_id == tenant.as_str() && is_after(&row.id, after.as_deref()));
        records(of_page.take(rows(page.rows_max)))
    }

    async fn all_webhooks(&self) -> Result<Vec<WebhookRecord>> {
        records(self.tables().webhooks.rows.values())
    }

    async fn deliveries(&self, webhook: WebhookId, page: Page<i64>) -> Result<Vec<DeliveryRecord>> {
        let (tables, webhook) = (self.tables(), webhook.to_string());
        let newest_first = tables.webhooks.deliveries.values().rev();
        let of_page =
            newest_first.filter(|row| row.webhook_id == webhook && page.after.is_none_or(|after| row.number < after));
        records(of_page.take(rows(page.rows_max)))
    }

    async fn remove_finished(&self, before: Millis, rows_max: u32) -> Result<Removed> {
        Ok(self.tables().remove_finished(before, rows_max))
    }

    async fn stored_output(&self) -> Result<Vec<(TenantId, u64)>> {
        Ok(self.tables().stored_output())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn touch_key(&self, id: KeyId, at: Millis) -> Result<()> {
        if let Some(row) = self.tables().keys.get_mut(&id.to_string()) {
            row.last_used_at = Some(at.0);
        }
        Ok(())
    }
}

/// Whether an id comes after a cursor in a list that begins with the newest.
fn is_after(id: &str, after: Option<&str>) -> bool {
    after.is_none_or(|after| id < after)
}

fn rows(rows_max: u32) -> usize {
    usize::try_from(rows_max.min(PAGE_ROWS_MAX + 1)).unwrap_or(usize::MAX)
}

fn records<'a, Row, Record>(rows: impl Iterator<Item = &'a Row>) -> Result<Vec<Record>>
where
    Row: Clone + 'a,
    Record: TryFrom<Row, Error = CorruptRow>,
{
    Ok(rows.cloned().map(Record::try_from).collect::<std::result::Result<_, _>>()?)
}
