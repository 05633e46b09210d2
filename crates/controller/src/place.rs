//! Asks the scheduler, with what the node has and what is promised on it.

use sentinal_model::{Error, ImageName, Placement, Result, Spec};
use sentinal_node_protocol::{NodeView, Probe};
use sentinal_scheduler::{EngineState, Node, Policy, Request, Room, place};
use sentinal_store::SandboxRecord;

/// Where a sandbox with this spec goes now. `promised`: the sandboxes that are not finished.
pub(crate) fn choose<'a>(
    spec: &Spec,
    view: Option<&NodeView>,
    promised: impl Iterator<Item = &'a SandboxRecord>,
    policy: Policy,
) -> Result<Placement> {
    let nodes: Vec<Node> = view.map(|view| node(view, promised)).into_iter().collect();
    let request = Request { engine: spec.engine, cpu: spec.cpu, memory: spec.memory };
    Ok(place(&request, &nodes, policy)?)
}

/// Refuses an image that the node does not have.
pub(crate) fn check_image(image: &ImageName, view: &NodeView) -> Result<()> {
    if view.images.iter().any(|known| known.name == *image) {
        return Ok(());
    }
    let known: Vec<&str> = view.images.iter().map(|known| known.name.as_str()).collect();
    let known =
        if known.is_empty() { "none; make one with `sentinal image build`".to_owned() } else { known.join(", ") };
    Err(Error::invalid(format!("image {:?} does not exist; known are: {known}", image.as_str())))
}

fn node<'a>(view: &NodeView, promised: impl Iterator<Item = &'a SandboxRecord>) -> Node {
    let engine = |engine: &sentinal_node_protocol::EngineView| EngineState {
        name: engine.name,
        usable: match &engine.probe {
            Probe::Available { .. } => Ok(()),
            Probe::Unavailable { reason } => Err(reason.clone()),
        },
    };
    Node { id: view.node.clone(), engines: view.engines.iter().map(engine).collect(), room: room(view, promised) }
}

fn room<'a>(view: &NodeView, promised: impl Iterator<Item = &'a SandboxRecord>) -> Room {
    let empty = Room {
        cpu_milli_total: view.room.cpu_milli_total.into(),
        cpu_milli_promised: 0,
        memory_bytes_total: view.room.memory_bytes_total,
        memory_bytes_available: view.room.memory_bytes_available,
        memory_bytes_promised: 0,
        disk_bytes_total: view.room.disk_bytes_total,
        disk_bytes_available: view.room.disk_bytes_available,
        sandboxes: 0,
    };
    promised.fold(empty, |room, record| Room {
        cpu_milli_promised: room.cpu_milli_promised.saturating_add(record.spec.cpu.milli().into()),
        memory_bytes_promised: room.memory_bytes_promised.saturating_add(record.spec.memory.bytes()),
        sandboxes: room.sandboxes + 1,
        ..room
    })
}
