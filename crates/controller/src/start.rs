//! The start of a controller: everything not finished is taken up where an earlier server left it.

use std::{collections::BTreeMap, sync::Arc};

use sentinal_auth::Keys;
use sentinal_model::{Result, SandboxId};
use sentinal_store::{ExecutionRecord, SandboxRecord};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::Controller,
    context::{Context, Parts},
    decide::Observed,
    drive,
    entry::Entry,
    executions, figures,
    idempotency::Requests,
    images, keys, lease,
    live::LiveExecutions,
    news::News,
    observe::{NodeState, observe},
    pool::{self, Pools},
    quota::StoredOutput,
    retention,
    table::Table,
    transfers::{self, Downloads},
    usage,
    webhooks::{self, Webhooks},
};

impl Controller {
    /// Takes up what the store has and begins to drive it. Answers before the node has: what needs it waits.
    pub async fn start(parts: Parts) -> Result<Self> {
        let (image_jobs, left) = images::remembered(parts.images.as_ref(), parts.clock.now()).await?;
        let keys = Arc::new(Keys::load(parts.store.as_ref(), Arc::clone(&parts.clock)).await?);
        let context = Arc::new(Context {
            stored: StoredOutput::of(parts.store.stored_output().await?),
            parts,
            keys,
            table: Table::default(),
            live: LiveExecutions::default(),
            node_state: NodeState::default(),
            pools: Pools::default(),
            image_jobs,
            requests: Requests::default(),
            downloads: Downloads::default(),
            news: News::default(),
            webhooks: Webhooks::default(),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let mut running = by_sandbox(context.store().running_executions().await?);
        for record in context.store().unfinished_sandboxes().await? {
            let executions = running.remove(&record.id).unwrap_or_default();
            take_up(&context, record, executions).await;
        }
        for (sandbox, executions) in running {
            end_without_sandbox(&context, sandbox, executions).await?;
        }
        images::clear(&context, &left);
        context.spawn(observe(Arc::clone(&context)));
        context.spawn(lease::keep(Arc::clone(&context)));
        context.spawn(keys::keep(Arc::clone(&context)));
        context.spawn(usage::keep(Arc::clone(&context)));
        context.spawn(retention::retain(Arc::clone(&context)));
        context.spawn(pool::keep(Arc::clone(&context)));
        context.spawn(images::relieve(Arc::clone(&context)));
        webhooks::start(&context).await?;
        context.spawn(figures::measure(Arc::clone(&context)));
        Ok(Self { context })
    }

    /// Stops all tasks and leaves sandboxes and executions as they are; the next server goes on with them.
    pub async fn stop(&self) {
        self.context.shutdown.cancel();
        self.context.tasks.close();
        self.context.tasks.wait().await;
        keys::write_uses(&self.context).await;
        transfers::write_downloads(&self.context).await;
    }
}

async fn take_up(context: &Arc<Context>, record: SandboxRecord, executions: Vec<ExecutionRecord>) {
    if record.pooled.is_none() {
        context.metrics().sandbox_entered(record.phase.state(), record.engine);
    }
    let entry = Entry::new(record, Observed::Unknown);
    context.table.insert(Arc::clone(&entry));
    executions::resume(context, &entry, executions).await;
    context.spawn(drive::drive(Arc::clone(context), entry));
}

/// Ends executions whose sandbox is finished: their server stopped between the two.
async fn end_without_sandbox(
    context: &Arc<Context>,
    sandbox: SandboxId,
    executions: Vec<ExecutionRecord>,
) -> Result<()> {
    let Some(record) = context.store().sandbox(sandbox).await? else { return Ok(()) };
    let entry = Entry::new(record, Observed::Absent);
    executions::resume(context, &entry, executions).await;
    Ok(())
}

fn by_sandbox(executions: Vec<ExecutionRecord>) -> BTreeMap<SandboxId, Vec<ExecutionRecord>> {
    let mut by_sandbox: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for execution in executions {
        by_sandbox.entry(execution.sandbox).or_default().push(execution);
    }
    by_sandbox
}
