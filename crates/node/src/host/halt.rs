//! Removing everything a sandbox has.

use std::sync::Arc;

use sentinal_model::{EngineName, SandboxId, limits::HALT_DEADLINE};
use sentinal_node_protocol::{HostUsage, Named};
use tokio::time::timeout;

use super::{Host, entry::Slot, hold::Held, host_usage};
use crate::{
    error::NodeError,
    record::{Record, Stage},
};

impl Host {
    /// Halts a sandbox. Breaks into a boot under way. For one that is not here it makes sure of that.
    pub(crate) async fn halt(self: Arc<Self>, halt: Named) -> Result<HostUsage, NodeError> {
        let mut held = loop {
            let entry = self.table.find_or_admit(halt.id, halt.generation)?;
            entry.halting.cancel();
            let held = Held::of(entry).await;
            // A place that failed meanwhile may not have been able to take back what it had done.
            if !matches!(*held.slot, Slot::Gone) {
                break held;
            }
        };
        held.not_overtaken(halt.generation)?;
        let usage = match &*held.slot {
            Slot::Placed(placed) => {
                let record = Record { generation: halt.generation, ..placed.record.at(Stage::Halting) };
                let before = placed.usage;
                self.note(&mut held, record.clone()).await;
                later(before, self.halt_engine(record.engine, &halt.id).await?)
            }
            Slot::Orphan { engine, .. } => self.halt_engine(*engine, &halt.id).await?,
            Slot::Empty | Slot::Gone => self.halt_everywhere(&held, &halt.id).await?,
        };
        let folder = self.folder.instance(&halt.id);
        self.on_disk(move || folder.remove()).await.map_err(NodeError::files("remove its folder"))?;
        *held.slot = Slot::Gone;
        self.table.bury(&held.entry);
        tracing::info!(sandbox = %halt.id, generation = %halt.generation, "sandbox halted");
        Ok(usage)
    }

    /// The engine's halt, within its deadline.
    pub(super) async fn halt_engine(&self, name: EngineName, id: &SandboxId) -> Result<HostUsage, NodeError> {
        let engine = self.engine(name)?;
        let halted = timeout(HALT_DEADLINE, engine.halt(id)).await;
        let late = NodeError::Late { what: "the halt of the sandbox", deadline: HALT_DEADLINE };
        halted.map_err(|_| late)?.map(host_usage).map_err(NodeError::engine(name, "halt"))
    }

    /// Nothing is known of it: each engine makes sure that it has nothing either, unless that was done.
    async fn halt_everywhere(&self, held: &Held, id: &SandboxId) -> Result<HostUsage, NodeError> {
        if self.table.was_halted(id) {
            return Ok(HostUsage::default());
        }
        let mut usage = HostUsage::default();
        for name in self.engines.names() {
            let halted = self.halt_engine(name, id).await;
            if halted.is_err() {
                // Listed from now on, so that it is tried again.
                held.entry.show(name, sentinal_node_protocol::InstanceState::Partial);
            }
            usage = later(usage, halted?);
        }
        Ok(usage)
    }
}

/// The figures of a halt, or those from before where it found nothing to count.
fn later(before: HostUsage, now: HostUsage) -> HostUsage {
    if now == HostUsage::default() { before } else { now }
}
