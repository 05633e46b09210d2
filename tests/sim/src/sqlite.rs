//! A real database under a simulation. While it works the simulation stands still, so that it takes no time and always
//! as much of it.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use futures::future::BoxFuture;
use sentinal_controller::{ExecutionRecord, Page, SandboxRecord};
use sentinal_model::{
    Code, Error, ExecutionId, IdempotencyKey, KeyId, Millis, Result as Answer, SandboxId, TenantId, WebhookId,
};
use sentinal_store::{
    DeliveryRecord, EventRecord, IdempotencyRecord, KeyRecord, Removed, SandboxFilter, SqliteStore, Store, UsageQuery,
    UsageRecord, WebhookRecord, Write,
};

/// Calls that wait: a simulation has one thread.
const CALLS_MAX: usize = 1;

type Call = Box<dyn FnOnce(Arc<SqliteStore>) -> BoxFuture<'static, ()> + Send>;

/// The database, with a thread and a runtime of its own.
#[derive(Debug)]
pub(crate) struct Sqlite {
    calls: mpsc::SyncSender<Call>,
}

impl Sqlite {
    /// Makes a database in this folder.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let (calls, called) = mpsc::sync_channel::<Call>(CALLS_MAX);
        let (opened, is_open) = mpsc::sync_channel(1);
        let path = folder.join("sentinal.db");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        thread::Builder::new().name("sqlite".to_owned()).spawn(move || {
            let store = match runtime.block_on(SqliteStore::open(&path)) {
                Ok(store) => Arc::new(store),
                Err(error) => return opened.send(Err(error)),
            };
            opened.send(Ok(()))?;
            while let Ok(call) = called.recv() {
                runtime.block_on(call(Arc::clone(&store)));
            }
            Ok(())
        })?;
        is_open.recv().context("the thread of the database died")?.context("no database")?;
        Ok(Self { calls })
    }

    fn call<T, F>(&self, call: impl FnOnce(Arc<SqliteStore>) -> F + Send + 'static) -> Answer<T>
    where
        T: Send + 'static,
        F: Future<Output = Answer<T>> + Send + 'static,
    {
        let (answer, answered) = mpsc::sync_channel(1);
        let call = move |store: Arc<SqliteStore>| -> BoxFuture<'static, ()> {
            Box::pin(async move {
                // The simulation waits for it.
                let _ = answer.send(call(store).await);
            })
        };
        let dead = || Error::new(Code::Internal, "the thread of the database died");
        self.calls.send(Box::new(call)).map_err(|_| dead())?;
        answered.recv().map_err(|_| dead())?
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn write(&self, writes: Vec<Write>) -> Answer<()> {
        self.call(|store| async move { store.write(writes).await })
    }

    async fn sandbox(&self, id: SandboxId) -> Answer<Option<SandboxRecord>> {
        self.call(move |store| async move { store.sandbox(id).await })
    }

    async fn sandboxes(
        &self,
        tenant: &TenantId,
        filter: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Answer<Vec<SandboxRecord>> {
        let (tenant, filter) = (tenant.clone(), filter.clone());
        self.call(move |store| async move { store.sandboxes(&tenant, &filter, page).await })
    }

    async fn unfinished_sandboxes(&self) -> Answer<Vec<SandboxRecord>> {
        self.call(|store| async move { store.unfinished_sandboxes().await })
    }

    async fn execution(&self, id: ExecutionId) -> Answer<Option<ExecutionRecord>> {
        self.call(move |store| async move { store.execution(id).await })
    }

    async fn executions(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Answer<Vec<ExecutionRecord>> {
        let tenant = tenant.clone();
        self.call(move |store| async move { store.executions(&tenant, sandbox, page).await })
    }

    async fn running_executions(&self) -> Answer<Vec<ExecutionRecord>> {
        self.call(|store| async move { store.running_executions().await })
    }

    async fn idempotency(&self, tenant: &TenantId, key: &IdempotencyKey) -> Answer<Option<IdempotencyRecord>> {
        let (tenant, key) = (tenant.clone(), key.clone());
        self.call(move |store| async move { store.idempotency(&tenant, &key).await })
    }

    async fn keys(&self) -> Answer<Vec<KeyRecord>> {
        self.call(|store| async move { store.keys().await })
    }

    async fn key(&self, id: KeyId) -> Answer<Option<KeyRecord>> {
        self.call(move |store| async move { store.key(id).await })
    }

    async fn keys_of(&self, tenant: &TenantId, page: Page<KeyId>) -> Answer<Vec<KeyRecord>> {
        let tenant = tenant.clone();
        self.call(move |store| async move { store.keys_of(&tenant, page).await })
    }

    async fn usage(&self, tenant: &TenantId, query: UsageQuery) -> Answer<Vec<UsageRecord>> {
        let tenant = tenant.clone();
        self.call(move |store| async move { store.usage(&tenant, query).await })
    }

    async fn events(
        &self,
        tenant: &TenantId,
        sandbox: Option<SandboxId>,
        after: i64,
        rows_max: u32,
    ) -> Answer<Vec<EventRecord>> {
        let tenant = tenant.clone();
        self.call(move |store| async move { store.events(&tenant, sandbox, after, rows_max).await })
    }

    async fn last_event(&self, tenant: &TenantId) -> Answer<Option<EventRecord>> {
        let tenant = tenant.clone();
        self.call(move |store| async move { store.last_event(&tenant).await })
    }

    async fn webhook(&self, id: WebhookId) -> Answer<Option<WebhookRecord>> {
        self.call(move |store| async move { store.webhook(id).await })
    }

    async fn webhooks(&self, tenant: &TenantId, page: Page<WebhookId>) -> Answer<Vec<WebhookRecord>> {
        let tenant = tenant.clone();
        self.call(move |store| async move { store.webhooks(&tenant, page).await })
    }

    async fn all_webhooks(&self) -> Answer<Vec<WebhookRecord>> {
        self.call(|store| async move { store.all_webhooks().await })
    }

    async fn deliveries(&self, webhook: WebhookId, page: Page<i64>) -> Answer<Vec<DeliveryRecord>> {
        self.call(move |store| async move { store.deliveries(webhook, page).await })
    }

    async fn remove_finished(&self, before: Millis, rows_max: u32) -> Answer<Removed> {
        self.call(move |store| async move { store.remove_finished(before, rows_max).await })
    }

    async fn stored_output(&self) -> Answer<Vec<(TenantId, u64)>> {
        self.call(|store| async move { store.stored_output().await })
    }

    async fn ping(&self) -> Answer<()> {
        self.call(|store| async move { store.ping().await })
    }

    async fn touch_key(&self, id: KeyId, at: Millis) -> Answer<()> {
        self.call(move |store| async move { store.touch_key(id, at).await })
    }
}
