//! What was used: added up now and then while sandboxes run, and asked for.

use std::sync::Arc;

use sentinal_auth::{Permit, ReadUsage};
use sentinal_model::{Phase, Result, SandboxId, limits};
use sentinal_store::{UsageQuery, UsageRecord, Write};

use crate::{api::Controller, context::Context, entry::Entry, transfers::write_downloads};

/// Sandboxes that are counted in one commit.
const BATCH: usize = 128;

impl Controller {
    /// What a tenant has used, in whole hours. Of what runs the last minute may be missing.
    pub async fn usage(&self, permit: &Permit<ReadUsage>, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        self.context.store().usage(permit.tenant(), query).await
    }
}

/// Keeps adding up as long as the server runs.
pub(crate) async fn keep(context: Arc<Context>) {
    loop {
        tokio::time::sleep(limits::USAGE_EVERY).await;
        add_up(&context).await;
        write_downloads(&context).await;
    }
}

/// What sandboxes that are there have used by now. What a server that was killed has not added up is added by the next.
async fn add_up(context: &Context) {
    let ids: Vec<SandboxId> = context.table.all().iter().filter_map(|entry| counted(entry)).collect();
    for batch in ids.chunks(BATCH) {
        let mut writes = Vec::with_capacity(batch.len());
        for id in batch {
            // One that has just ended was counted at its end; of one that cannot be asked its time counts nevertheless.
            let used = context.node().stats(*id).await.unwrap_or_default();
            writes.push(Write::Usage { sandbox: *id, at: context.now(), cpu_us: used.cpu_us });
        }
        if let Err(error) = context.write(writes).await {
            tracing::warn!(?error, "what sandboxes have used is not added up yet");
        }
    }
}

fn counted(entry: &Entry) -> Option<SandboxId> {
    let record = entry.record();
    let is_there = matches!(record.phase, Phase::Running(_) | Phase::Paused(_)) && record.pooled.is_none();
    is_there.then_some(record.id)
}
