//! What sandboxes use, for the figures: as the host counts it, and measured only while somebody looks.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use sentinal_model::{EngineName, Phase};
use sentinal_node_protocol::HostUsage;
use sentinal_telemetry::InUse;

use crate::{context::Context, entry::Entry};

/// How often sandboxes are measured.
const EVERY: Duration = Duration::from_secs(15);

/// How many at once.
const AT_ONCE: usize = 8;

/// Keeps measuring as long as the server runs.
pub(crate) async fn measure(context: Arc<Context>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if context.metrics().were_read() {
            measure_all(&context).await;
        }
    }
}

async fn measure_all(context: &Context) {
    let Ok(known) = context.node_state.view() else { return };
    let engines = known.view.engines.iter().map(|engine| engine.name);
    let is_up = |entry: &Arc<Entry>| matches!(entry.record().phase, Phase::Running(_) | Phase::Paused(_));
    let entries: Vec<_> = context.table.all().into_iter().filter(is_up).collect();
    let measured = stream::iter(entries).map(|entry| async move {
        let record = entry.record();
        let usage = context.node().stats(record.id).await.ok()?;
        let engine = record.engine?;
        count_cpu(context, &entry, (engine, usage));
        Some((engine, usage))
    });
    let mut in_use: BTreeMap<EngineName, InUse> = engines.map(|name| (name, InUse::default())).collect();
    let mut measured = measured.buffer_unordered(AT_ONCE);
    while let Some(measured) = measured.next().await {
        let Some((engine, usage)) = measured else { continue };
        let sum = in_use.entry(engine).or_default();
        sum.memory_bytes = sum.memory_bytes.saturating_add(usage.memory_bytes);
        sum.disk_bytes = sum.disk_bytes.saturating_add(usage.disk_bytes);
        sum.processes = sum.processes.saturating_add(usage.processes);
    }
    for (engine, sum) in in_use {
        context.metrics().sandboxes_use(engine, sum);
    }
}

/// Counts what a sandbox has used in all, once nothing is left of it.
pub(crate) fn ended(context: &Context, entry: &Entry, (engine, usage): (EngineName, HostUsage)) {
    count_cpu(context, entry, (engine, usage));
    context.metrics().sandbox_ended(engine, usage.memory_peak_bytes, usage.oom_kills);
}

fn count_cpu(context: &Context, entry: &Entry, (engine, usage): (EngineName, HostUsage)) {
    context.metrics().sandbox_cpu(engine, entry.cpu_us_since(usage.cpu_us));
}
