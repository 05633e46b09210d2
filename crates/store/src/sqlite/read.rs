//! Reading, on connections of its own: a read never waits for a commit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Params, Row};
use sentinal_model::{
    Error, ExecutionId, IdempotencyKey, KeyId, Result, SandboxId, TenantId, UsageBy, WebhookId, limits::PAGE_ROWS_MAX,
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{failure, open::Database};
use crate::{
    DeliveryRecord, EventRecord, ExecutionRecord, IdempotencyRecord, KeyRecord, Page, SandboxFilter, SandboxRecord,
    UsageQuery, UsageRecord, WebhookRecord, limits,
    row::{
        CorruptRow, DeliveryRow, EventRow, ExecutionRow, IdempotencyRow, KeyRow, OutputRow, SandboxRow, UsageRow,
        WebhookRow,
    },
};

/// Greater than every id: where a list that begins with the newest begins.
const BEYOND_EVERY_ID: &str = "~";

/// The read-only connections.
#[derive(Debug)]
pub(super) struct Reads {
    turns: Arc<Semaphore>,
    connections: Arc<Connections>,
}

#[derive(Debug)]
struct Connections {
    database: Database,
    free: Mutex<Vec<Connection>>,
}

/// All of an execution but what would make a list too large.
macro_rules! listed_executions {
    ($rest:literal) => {
        concat!(
            "SELECT id, sandbox_id, tenant_id, command, state, outcome, exit_code, signal, duration_us, cpu_us, \
             memory_peak_bytes, stdout_place, stdout_total, stdout_stored, stdout, stderr_place, stderr_total, \
             stderr_stored, stderr, NULL AS results, key_id, created_at, expires_at, finished_at",
            $rest
        )
    };
}

/// Hours of a tenant, added up by these three.
macro_rules! summed_by {
    ($hour:literal, $engine:literal, $key:literal) => {
        concat!(
            "SELECT tenant_id, ",
            $hour,
            " AS hour, ",
            $engine,
            " AS engine, ",
            $key,
            " AS key_id, SUM(sandboxes) AS sandboxes, SUM(sandbox_ms) AS sandbox_ms, SUM(cpu_us) AS cpu_us, \
             SUM(memory_mib_ms) AS memory_mib_ms, SUM(executions_exited) AS executions_exited, \
             SUM(executions_signaled) AS executions_signaled, SUM(executions_timeout) AS executions_timeout, \
             SUM(executions_oom) AS executions_oom, SUM(executions_killed) AS executions_killed, \
             SUM(output_bytes) AS output_bytes, SUM(uploaded_bytes) AS uploaded_bytes, \
             SUM(downloaded_bytes) AS downloaded_bytes FROM usage WHERE tenant_id = ?1 AND hour >= ?2 AND hour < ?3 \
             GROUP BY 1, 2, 3, 4 ORDER BY 2, 3, 4 LIMIT ?4"
        )
    };
}

impl Reads {
    /// Connects when first needed.
    pub(super) fn new(database: Database) -> Self {
        let turns = Arc::new(Semaphore::new(limits::READERS_MAX));
        Self { turns, connections: Arc::new(Connections { database, free: Mutex::default() }) }
    }

    /// Returns when no read is under way; there can be none afterwards.
    pub(super) async fn close(self) {
        let all = u32::try_from(limits::READERS_MAX).unwrap_or(u32::MAX);
        // Nobody else closes it.
        let _ = self.turns.acquire_many(all).await;
    }

    pub(super) async fn sandbox(&self, id: SandboxId) -> Result<Option<SandboxRecord>> {
        self.one::<SandboxRow, _>("SELECT * FROM sandbox WHERE id = ?1", [id.to_string()]).await
    }

    pub(super) async fn sandboxes(
        &self,
        tenant: &TenantId,
        filter: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Result<Vec<SandboxRecord>> {
        let page_of = "SELECT * FROM sandbox WHERE tenant_id = ?1 AND (created_at, id) < \
             (COALESCE((SELECT created_at FROM sandbox WHERE tenant_id = ?1 AND id = ?2), ?4), ?2) \
             AND NOT EXISTS (SELECT 1 FROM json_each(?5) AS wanted WHERE NOT EXISTS (SELECT 1 \
             FROM json_each(sandbox.spec, '$.labels') AS has WHERE has.key = wanted.key AND has.value = wanted.value)) \
             ORDER BY created_at DESC, id DESC LIMIT ?3";
        // A row that was removed meanwhile was created when its id says, or later.
        let created_at = page.after.map_or(i64::MAX, |id| id.generated_at().0);
        let labels = serde_json::to_string(&filter.labels).expect("strings are always JSON");
        let terms = (tenant.to_string(), before(page.after), rows(page.rows_max), created_at, labels);
        self.all::<SandboxRow, _>(page_of, terms).await
    }

    pub(super) async fn unfinished_sandboxes(&self) -> Result<Vec<SandboxRecord>> {
        self.all::<SandboxRow, _>("SELECT * FROM sandbox WHERE phase <> 'finished' ORDER BY id", []).await
    }

    pub(super) async fn execution(&self, id: ExecutionId) -> Result<Option<ExecutionRecord>> {
        self.one::<ExecutionRow, _>("SELECT * FROM execution WHERE id = ?1", [id.to_string()]).await
    }

    pub(super) async fn executions(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Result<Vec<ExecutionRecord>> {
        let of_tenant =
            listed_executions!(" FROM execution WHERE tenant_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3");
        let of_sandbox = listed_executions!(
            " FROM execution WHERE sandbox_id = ?4 AND tenant_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        );
        let (tenant, before, rows) = (tenant.to_string(), before(page.after), rows(page.rows_max));
        match sandbox {
            Some(id) => self.all::<ExecutionRow, _>(of_sandbox, (tenant, before, rows, id.to_string())).await,
            None => self.all::<ExecutionRow, _>(of_tenant, (tenant, before, rows)).await,
        }
    }

    pub(super) async fn running_executions(&self) -> Result<Vec<ExecutionRecord>> {
        self.all::<ExecutionRow, _>("SELECT * FROM execution WHERE state = 'running' ORDER BY id", []).await
    }

    pub(super) async fn idempotency(
        &self,
        tenant: &TenantId,
        key: &IdempotencyKey,
    ) -> Result<Option<IdempotencyRecord>> {
        let of_tenant = "SELECT * FROM idempotency WHERE tenant_id = ?1 AND key = ?2";
        self.one::<IdempotencyRow, _>(of_tenant, (tenant.to_string(), key.to_string())).await
    }

    pub(super) async fn keys(&self) -> Result<Vec<KeyRecord>> {
        self.all::<KeyRow, _>("SELECT * FROM api_key WHERE revoked_at IS NULL ORDER BY id", []).await
    }

    pub(super) async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>> {
        self.one::<KeyRow, _>("SELECT * FROM api_key WHERE id = ?1", [id.to_string()]).await
    }

    pub(super) async fn keys_of(&self, tenant: &TenantId, page: Page<KeyId>) -> Result<Vec<KeyRecord>> {
        // A key's row stays for good: one that is not there was never the last of a page.
        let page_of = "SELECT * FROM api_key WHERE tenant_id = ?1 AND (?2 = ?4 OR (created_at, id) < \
             (SELECT created_at, id FROM api_key WHERE tenant_id = ?1 AND id = ?2)) \
             ORDER BY created_at DESC, id DESC LIMIT ?3";
        let terms = (tenant.to_string(), before(page.after), rows(page.rows_max), BEYOND_EVERY_ID);
        self.all::<KeyRow, _>(page_of, terms).await
    }

    pub(super) async fn stored_output(&self) -> Result<Vec<(TenantId, u64)>> {
        let sums = "SELECT tenant_id, SUM(COALESCE(stdout_stored, 0) + COALESCE(stderr_stored, 0)) AS bytes \
             FROM execution WHERE state = 'finished' GROUP BY tenant_id";
        self.all::<OutputRow, _>(sums, []).await
    }

    pub(super) async fn usage(&self, tenant: &TenantId, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        let sums = match query.by {
            UsageBy::Hour => summed_by!("hour", "''", "''"),
            UsageBy::Day => summed_by!("(hour / 86400000) * 86400000", "''", "''"),
            UsageBy::Key => summed_by!("0", "''", "key_id"),
            UsageBy::Engine => summed_by!("0", "engine", "''"),
        };
        let terms = (tenant.to_string(), query.since.0, query.until.0, limits::USAGE_ROWS_MAX);
        self.all::<UsageRow, _>(sums, terms).await
    }

    pub(super) async fn events(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<EventRecord>> {
        let of_tenant = "SELECT * FROM event WHERE tenant_id = ?1 AND cursor > ?2 ORDER BY cursor LIMIT ?3";
        let of_sandbox =
            "SELECT * FROM event WHERE sandbox_id = ?4 AND tenant_id = ?1 AND cursor > ?2 ORDER BY cursor LIMIT ?3";
        let (tenant, rows) = (tenant.to_string(), rows(rows_max));
        match sandbox {
            Some(id) => self.all::<EventRow, _>(of_sandbox, (tenant, after, rows, id.to_string())).await,
            None => self.all::<EventRow, _>(of_tenant, (tenant, after, rows)).await,
        }
    }

    pub(super) async fn last_event(&self, tenant: &TenantId) -> Result<Option<EventRecord>> {
        let newest = "SELECT * FROM event WHERE tenant_id = ?1 ORDER BY cursor DESC LIMIT 1";
        self.one::<EventRow, _>(newest, [tenant.to_string()]).await
    }

    pub(super) async fn webhook(&self, id: WebhookId) -> Result<Option<WebhookRecord>> {
        self.one::<WebhookRow, _>("SELECT * FROM webhook WHERE id = ?1", [id.to_string()]).await
    }

    pub(super) async fn webhooks(&self, tenant: &TenantId, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>> {
        let page_of = "SELECT * FROM webhook WHERE tenant_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
        self.all::<WebhookRow, _>(page_of, (tenant.to_string(), before(page.after), rows(page.rows_max))).await
    }

    pub(super) async fn all_webhooks(&self) -> Result<Vec<WebhookRecord>> {
        self.all::<WebhookRow, _>("SELECT * FROM webhook ORDER BY id", []).await
    }

    pub(super) async fn deliveries(&self, webhook: WebhookId, page: Page<i64>) -> Result<Vec<DeliveryRecord>> {
        let page_of =
            "SELECT * FROM webhook_delivery WHERE webhook_id = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3";
        let terms = (webhook.to_string(), page.after.unwrap_or(i64::MAX), rows(page.rows_max));
        self.all::<DeliveryRow, _>(page_of, terms).await
    }

    async fn one<Found, Record>(&self, sql: &'static str, terms: impl Params + Send + 'static) -> Result<Option<Record>>
    where
        Found: for<'r> TryFrom<&'r Row<'r>, Error = rusqlite::Error> + Send + 'static,
        Record: TryFrom<Found, Error = CorruptRow>,
    {
        Ok(self.all::<Found, Record>(sql, terms).await?.pop())
    }

    async fn all<Found, Record>(&self, sql: &'static str, terms: impl Params + Send + 'static) -> Result<Vec<Record>>
    where
        Found: for<'r> TryFrom<&'r Row<'r>, Error = rusqlite::Error> + Send + 'static,
        Record: TryFrom<Found, Error = CorruptRow>,
    {
        let turn = match timeout(limits::READER_WAIT, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(turn) => turn.map_err(|error| Error::internal(&error))?,
            Err(_) => return Err(failure::busy()),
        };
        let connections = Arc::clone(&self.connections);
        let read = spawn_blocking(move || {
            let found = connections.read::<Found>(sql, terms);
            drop(turn);
            found.map_err(|error| failure::explain(&error, connections.database.folder()))
        });
        let rows = read.await.map_err(|error| Error::internal(&error))??;
        Ok(rows.into_iter().map(Record::try_from).collect::<std::result::Result<_, _>>()?)
    }
}

impl Connections {
    /// On a connection that nobody uses; one on which something failed is not used again.
    fn read<Found>(&self, sql: &str, terms: impl Params) -> rusqlite::Result<Vec<Found>>
    where
        Found: for<'r> TryFrom<&'r Row<'r>, Error = rusqlite::Error>,
    {
        let free = self.free().pop();
        let connection = free.map_or_else(|| self.database.for_reading(), Ok)?;
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(terms)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Found::try_from(row)?);
        }
        drop(rows);
        drop(statement);
        self.free().push(connection);
        Ok(found)
    }

    fn free(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the ids of a page are smaller than.
fn before<Id: ToString>(after: Option<Id>) -> String {
    after.map_or_else(|| BEYOND_EVERY_ID.to_owned(), |id| id.to_string())
}

/// How many rows a page may have, and one that says that there is another page.
fn rows(rows_max: u32) -> i64 {
    i64::from(rows_max.min(PAGE_ROWS_MAX + 1))
}
