//! The executions that run, in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sentinal_model::{
    Amounts, Code, Error, ExecutionId, QuotaName, Quotas, Result, SandboxId, Stream, TenantId, limits,
};
use sentinal_store::ExecutionRecord;
use tokio::sync::watch;

use crate::spool::Spool;

/// A running execution, its output so far, and its end when it comes.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) record: ExecutionRecord,
    pub(crate) stdout: Spool,
    pub(crate) stderr: Spool,
    progress: watch::Sender<Progress>,
    /// How many are attached to its terminal.
    pub(crate) attached: watch::Sender<usize>,
}

/// How far an execution is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// Counts appended chunks.
    chunks: u64,
    /// The durable record of its end.
    pub(crate) finished: Option<Arc<ExecutionRecord>>,
}

impl Live {
    pub(crate) fn new(record: ExecutionRecord, stdout: Spool, stderr: Spool) -> Arc<Self> {
        Arc::new(Self { record, stdout, stderr, progress: watch::Sender::default(), attached: watch::Sender::new(0) })
    }

    pub(crate) const fn spool(&self, stream: Stream) -> &Spool {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }

    /// Every step from now on.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// There is more output.
    pub(crate) fn grew(&self) {
        self.progress.send_modify(|progress| progress.chunks = progress.chunks.wrapping_add(1));
    }

    fn finished(&self, record: Arc<ExecutionRecord>) {
        self.progress.send_modify(|progress| progress.finished = Some(record));
    }
}

/// All of them by id.
#[derive(Debug, Default)]
pub(crate) struct LiveExecutions {
    executions: Mutex<HashMap<ExecutionId, Arc<Live>>>,
    removed: tokio::sync::Notify,
}

impl LiveExecutions {
    pub(crate) fn get(&self, id: ExecutionId) -> Option<Arc<Live>> {
        self.lock().get(&id).cloned()
    }

    /// Adds one that an earlier server has started, unless its sandbox has as many as it may.
    pub(crate) fn insert(&self, live: &Arc<Live>) -> Result<()> {
        insert(&mut self.lock(), live)
    }

    /// Adds one, unless its sandbox or its tenant has as many as it may.
    pub(crate) fn admit(&self, live: &Arc<Live>, quotas: &Quotas) -> Result<()> {
        let mut executions = self.lock();
        let used = Amounts::default().with(QuotaName::Executions, count_of(&executions, &live.record.tenant));
        quotas.check(&used, &Amounts::default().with(QuotaName::Executions, 1))?;
        insert(&mut executions, live)
    }

    /// How many executions of a tenant run.
    pub(crate) fn of_tenant(&self, tenant: &TenantId) -> u64 {
        count_of(&self.lock(), tenant)
    }

    /// How much output of a tenant's running executions is stored, in bytes.
    pub(crate) fn stored_by(&self, tenant: &TenantId) -> u64 {
        let of_tenant: Vec<_> = self.lock().values().filter(|live| live.record.tenant == *tenant).cloned().collect();
        of_tenant.iter().map(|live| live.stdout.stored().saturating_add(live.stderr.stored())).sum()
    }

    /// Takes one out; its followers get the durable record, if there is one.
    pub(crate) fn remove(&self, live: &Live, finished: Option<Arc<ExecutionRecord>>) {
        self.lock().remove(&live.record.id);
        if let Some(record) = finished {
            live.finished(record);
        }
        self.removed.notify_waiters();
    }

    /// Whether no more than one execution of the sandbox runs.
    pub(crate) fn is_alone_in(&self, sandbox: SandboxId) -> bool {
        self.lock().values().filter(|live| live.record.sandbox == sandbox).count() <= 1
    }

    /// Resolves when no execution of the sandbox runs.
    pub(crate) async fn none_left_of(&self, sandbox: SandboxId) {
        loop {
            let removed = self.removed.notified();
            let mut removed = std::pin::pin!(removed);
            removed.as_mut().enable();
            if !self.lock().values().any(|live| live.record.sandbox == sandbox) {
                return;
            }
            removed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ExecutionId, Arc<Live>>> {
        self.executions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Executions = HashMap<ExecutionId, Arc<Live>>;

fn insert(executions: &mut Executions, live: &Arc<Live>) -> Result<()> {
    let sandbox = live.record.sandbox;
    let running = executions.values().filter(|live| live.record.sandbox == sandbox).count();
    if running >= limits::EXECUTIONS_RUNNING_MAX {
        let message = format!("the sandbox runs {running} executions, the most it may; wait for one to end");
        return Err(Error::new(Code::QuotaExceeded, message));
    }
    executions.insert(live.record.id, Arc::clone(live));
    Ok(())
}

fn count_of(executions: &Executions, tenant: &TenantId) -> u64 {
    executions.values().map(|live| u64::from(live.record.tenant == *tenant)).sum()
}
