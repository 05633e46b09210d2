//! Asks the scheduler, with what the node has and what is promised on it.

use sentinal_model::{EngineName, Error, ImageName, Placement, Result, Spec};
use sentinal_node_protocol::{NodeView, Probe};
use sentinal_scheduler::{EngineState, Node, Policy, Pressure, Request, Room, Source, place};
use sentinal_store::SandboxRecord;

use crate::observe::Measured;

/// What a choice is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer<'a> {
    /// What the node said of itself.
    pub(crate) measured: &'a Measured,
    /// The engines on which one waits that fits.
    pub(crate) warm: &'a [EngineName],
    /// What the operator allows.
    pub(crate) policy: Policy,
}

/// Where a sandbox with this spec comes from now. `promised`: what has room already.
pub(crate) fn choose<'a>(
    spec: &Spec,
    offer: Offer<'_>,
    promised: impl Iterator<Item = &'a SandboxRecord>,
) -> Result<(Placement, Source)> {
    let nodes = [node(offer, promised)];
    let request = Request { engine: spec.engine, cpu: spec.cpu, memory: spec.memory };
    Ok(place(&request, &nodes, offer.policy)?)
}

/// Refuses an image that the node does not have.
pub(crate) fn check_image(image: &ImageName, view: &NodeView) -> Result<()> {
    if view.images.iter().any(|known| known.name == *image) {
        return Ok(());
    }
    let known: Vec<&str> = view.images.iter().map(|known| known.name.as_str()).collect();
    let known = if known.is_empty() {
        "none; make one with `sentinal image build-default`".to_owned()
    } else {
        known.join(", ")
    };
    Err(Error::invalid(format!("image {:?} does not exist; known are: {known}", image.as_str())))
}

fn node<'a>(offer: Offer<'_>, promised: impl Iterator<Item = &'a SandboxRecord>) -> Node {
    let (measured, view) = (offer.measured, &offer.measured.view);
    let engine = |engine: &sentinal_node_protocol::EngineView| EngineState {
        name: engine.name,
        usable: match &engine.probe {
            Probe::Available { .. } => Ok(()),
            Probe::Unavailable { reason } => Err(reason.clone()),
        },
        warm: offer.warm.contains(&engine.name),
    };
    Node { id: view.node.clone(), engines: view.engines.iter().map(engine).collect(), room: room(measured, promised) }
}

fn room<'a>(measured: &Measured, promised: impl Iterator<Item = &'a SandboxRecord>) -> Room {
    let said = measured.view.room;
    let empty = Room {
        cpu_milli_total: said.cpu_milli_total.into(),
        cpu_milli_promised: 0,
        memory_bytes_total: said.memory_bytes_total,
        memory_bytes_available: said.memory_bytes_available,
        memory_bytes_promised: 0,
        memory_bytes_unmeasured: 0,
        memory_pressure: said
            .memory_pressure
            .map(|said| Pressure { some_percent: said.some_percent, full_percent: said.full_percent }),
        disk_bytes_total: said.disk_bytes_total,
        disk_bytes_available: said.disk_bytes_available,
        sandboxes: 0,
    };
    promised.fold(empty, |room, record| {
        let memory_bytes = record.spec.memory.bytes();
        let unmeasured_bytes = if measured.up.contains(&record.id) { 0 } else { memory_bytes };
        Room {
            cpu_milli_promised: room.cpu_milli_promised.saturating_add(record.spec.cpu.milli().into()),
            memory_bytes_promised: room.memory_bytes_promised.saturating_add(memory_bytes),
            memory_bytes_unmeasured: room.memory_bytes_unmeasured.saturating_add(unmeasured_bytes),
            sandboxes: room.sandboxes + 1,
            ..room
        }
    })
}
