//! Watches the node: what it has, what ended on it, and, after every gap, what is there at all.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use sentinal_model::{Code, Generation, Isolation, Phase, Result, SandboxId};
use sentinal_node_protocol::{EndReason, InstanceState, NodeEvent, NodeView, Probe};
use sentinal_store::SandboxRecord;
use sentinal_telemetry::NodeRoom;

use crate::{context::Context, decide::Observed, entry::Entry};

/// How often the node's figures are asked for.
const DESCRIBE_EVERY: Duration = Duration::from_secs(2);

/// How long to rest before the node is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// How long to rest before an instance that nobody has a row for is halted again.
const ORPHAN_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the node said of itself, and of which sandboxes that can tell.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) view: NodeView,
    /// Those that were up when it was asked: what they use is in its figures.
    pub(crate) up: HashSet<SandboxId>,
}

/// What the node last said of itself; `Err` is why it does not answer.
#[derive(Debug)]
pub(crate) struct NodeState {
    view: Mutex<std::result::Result<Arc<Measured>, String>>,
}

impl Default for NodeState {
    fn default() -> Self {
        Self { view: Mutex::new(Err("the node has not answered yet".to_owned())) }
    }
}

impl NodeState {
    pub(crate) fn view(&self) -> std::result::Result<Arc<Measured>, String> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers what was known before.
    fn set(&self, view: std::result::Result<Arc<Measured>, String>) -> std::result::Result<Arc<Measured>, String> {
        std::mem::replace(&mut *self.view.lock().unwrap_or_else(PoisonError::into_inner), view)
    }
}

/// Asks the node for its figures and keeps them.
pub(crate) async fn describe(context: &Context) -> Result<Arc<Measured>> {
    let is_up = |entry: &Arc<Entry>| matches!(entry.record().phase, Phase::Running(_) | Phase::Paused(_));
    let up = context.table.all().into_iter().filter(is_up).map(|entry| entry.record().id).collect();
    match context.node().describe().await {
        Ok(view) => {
            let measured = Arc::new(Measured { view, up });
            let before = context.node_state.set(Ok(Arc::clone(&measured))).ok();
            let minimum = context.parts.settings.policy.minimum_isolation;
            count_node(context, &measured.view);
            // The first time is the start, which says it by itself.
            if let Some(before) = before {
                tell_of_engines(&before.view, &measured.view, minimum);
            }
            Ok(measured)
        }
        Err(error) => {
            context.node_state.set(Err(error.message().to_owned())).ok();
            Err(error)
        }
    }
}

/// Takes what the node has into the figures.
fn count_node(context: &Context, view: &NodeView) {
    let room = view.room;
    context.metrics().node_answers(NodeRoom {
        cpu_milli: room.cpu_milli_total,
        memory_bytes: (room.memory_bytes_total, room.memory_bytes_available),
        disk_bytes: (room.disk_bytes_total, room.disk_bytes_available),
    });
    for engine in &view.engines {
        context.metrics().engine_probed(engine.name, matches!(engine.probe, Probe::Available { .. }));
    }
}

/// Says which engines can be used, and which cannot, when that is new.
fn tell_of_engines(before: &NodeView, now: &NodeView, minimum: Isolation) {
    for engine in &now.engines {
        let known = before.engines.iter().find(|known| known.name == engine.name);
        if known.is_some_and(|known| known.probe == engine.probe) {
            continue;
        }
        let (name, isolation) = (engine.name, engine.name.isolation());
        match &engine.probe {
            Probe::Available { version } if minimum <= isolation => {
                tracing::info!(engine = %name, %isolation, version, "engine can be used");
            }
            Probe::Available { version } => {
                tracing::info!(engine = %name, %isolation, version, %minimum, "engine is not allowed: its isolation is too weak");
            }
            Probe::Unavailable { reason } => {
                tracing::info!(engine = %name, %isolation, reason, "engine cannot be used");
            }
        }
    }
}

/// Keeps watching as long as the server runs.
pub(crate) async fn observe(context: Arc<Context>) {
    loop {
        if let Err(error) = watch(&context).await {
            context.metrics().node_is_silent();
            let before = context.node_state.set(Err(error.message().to_owned()));
            if before.is_ok() || before.is_err_and(|known| known != error.message()) {
                // Once, and not as often as it is tried.
                tracing::warn!(error = ?error, "node is not being watched; it is tried again and again");
            }
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Watches until the stream breaks. Events come first, so that nothing that ends while the node lists is missed.
async fn watch(context: &Arc<Context>) -> Result<()> {
    let mut events = context.node().watch().await?;
    describe(context).await?;
    reconcile(context).await?;
    for entry in context.table.all() {
        entry.activity().tell_again();
    }
    let mut describe_at = tokio::time::interval(DESCRIBE_EVERY);
    describe_at.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // However many events there are, the figures do not get old.
            biased;
            _ = describe_at.tick() => drop(describe(context).await?),
            event = events.next() => match event {
                Some(Ok(NodeEvent::InstanceEnded { id, generation, reason })) => ended(context, (id, generation), reason),
                Some(Ok(NodeEvent::EnginesChanged)) => drop(describe(context).await?),
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
        }
    }
}

fn ended(context: &Arc<Context>, (id, generation): (SandboxId, Generation), reason: EndReason) {
    match context.table.get(id) {
        Some(entry) => entry.observe_of(generation, Observed::Ended(reason)),
        None => halt_orphan(context, id, generation),
    }
}

/// Compares what exists with what is recorded: known and alive is adopted, alive without a row is destroyed,
/// a row without an instance is lost.
async fn reconcile(context: &Arc<Context>) -> Result<()> {
    let mut left = compare(context, context.table.all()).await?;
    while !left.is_empty() {
        left = compare(context, left).await?;
    }
    Ok(())
}

/// Compares what exists with these entries, which were taken before the node is asked: what is placed afterwards cannot
/// be missing from the answer. Answers those of which it is not known what became: their records changed meanwhile.
async fn compare(context: &Arc<Context>, entries: Vec<Arc<Entry>>) -> Result<Vec<Arc<Entry>>> {
    let before: Vec<_> = entries.into_iter().map(|entry| (entry.record(), entry)).collect();
    let inventory = context.node().list().await?;
    let mut overtaken = Vec::new();
    for (record, entry) in before {
        let instance = inventory.instances.iter().find(|instance| instance.id == record.id);
        let now = entry.record();
        if now.generation != record.generation {
            // One that boots or ends finds out by itself.
            if matches!(now.phase, Phase::Running(_) | Phase::Paused(_)) {
                overtaken.push(entry);
            }
            continue;
        }
        match (instance, &record.phase) {
            (Some(instance), _) => {
                let seen = observed(instance.state);
                let is_first = *entry.observed().borrow() == Observed::Unknown;
                entry.observe(if is_first { doubted(&record, seen) } else { seen });
            }
            (None, Phase::Booting(_) | Phase::Running(_) | Phase::Paused(_)) => entry.observe(Observed::Absent),
            (None, Phase::Pending | Phase::Stopping(..) | Phase::Finished(_)) => {}
        }
    }
    for instance in inventory.instances {
        // Looked up after the answer: a row is always written before its instance is placed.
        if context.table.get(instance.id).is_none() {
            halt_orphan(context, instance.id, instance.generation);
        }
    }
    Ok(overtaken)
}

/// What an earlier server asked for may still be under way: one that was ever paused is told again what it shall do.
fn doubted(record: &SandboxRecord, seen: Observed) -> Observed {
    let was_paused = !record.paused_for.is_zero();
    if was_paused && matches!((&record.phase, seen), (Phase::Running(_), Observed::AsRecorded)) {
        return Observed::Paused;
    }
    if matches!((&record.phase, seen), (Phase::Paused(_), Observed::Paused)) {
        return Observed::AsRecorded;
    }
    seen
}

const fn observed(state: InstanceState) -> Observed {
    match state {
        InstanceState::Partial => Observed::Partial,
        InstanceState::Running => Observed::AsRecorded,
        InstanceState::Paused => Observed::Paused,
        InstanceState::Ended(reason) => Observed::Ended(reason),
    }
}

/// Removes what nobody has a row for, however often it takes.
fn halt_orphan(context: &Arc<Context>, id: SandboxId, seen: Generation) {
    let own = Arc::clone(context);
    context.spawn(async move {
        while let Err(error) = own.node().halt(id, seen.next()).await {
            tracing::warn!(sandbox = %id, ?error, "instance without a sandbox not removed yet");
            if error.code() == Code::Conflict {
                // Somebody else is at it.
                return;
            }
            tokio::time::sleep(ORPHAN_RETRY_AFTER).await;
        }
        tracing::info!(sandbox = %id, "instance without a sandbox removed");
    });
}
