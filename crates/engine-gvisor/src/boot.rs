//! Booting: folder, then cgroup and layer, then `runsc`.

use sentinal_engine::{
    BootSpec, EngineError,
    cgroup::{Limits, OutOfMemory},
    host::HostEngine as _,
    layer::Inodes,
};
use sentinal_model::{Disk, limits::BOOT_DEADLINE};
use tokio_util::sync::CancellationToken;

use crate::{
    bundle::{Bundle, Root},
    engine::Gvisor,
    folder::Furnished,
    runsc::{self, Mode},
    starter::Start,
};

/// Host tasks of one sandbox. Far above what [`sentinal_model::limits::PROCESSES_MAX`] processes inside take
/// (about 400), because meeting it ends the sandbox.
pub(crate) const TASKS_MAX: u32 = 4096;
/// For the layer's own structures.
const LAYER_OWN_BYTES: u64 = 16 << 20;

pub(crate) async fn boot(engine: &Gvisor, spec: &BootSpec, stop: &CancellationToken) -> Result<(), EngineError> {
    let folder = Furnished(engine.instance(&spec.id));
    let hold = engine.hold(&spec.id)?;
    folder.make()?;
    hold.create(Limits { memory: spec.memory, tasks: TASKS_MAX, out_of_memory: OutOfMemory::EndsAll })?;
    let layer = folder.0.layer();
    layer.make(layer_bytes(spec.disk), Inodes::Few, engine.templates(), stop).await?;
    let (data, guest) = (folder.layer_point(), folder.guest());
    let bundle = Bundle {
        root: Root::Image { image: &spec.image, data: &data, disk: spec.disk },
        hostname: &folder.0.hostname(),
        init: &["/.sentinal/agent"],
        env: &spec.agent_env,
        guest: &guest,
        memory: spec.memory,
    };
    folder.write_config(&bundle.config())?;
    let start = Start {
        binds: vec![(spec.agent.clone(), folder.guest_agent()), (spec.socket_folder.clone(), folder.guest_sockets())],
        layer: (layer.file().to_owned(), folder.layer_point()),
        cgroup: hold.entrances(),
    };
    let runsc = runsc::run(engine.config(), &folder, start, Mode::Detached, BOOT_DEADLINE);
    runsc.with_lasting_descendants().finish(stop).await?;
    hold.limit_cpu(spec.cpu)
}

/// The host's layer must never be full before the sandbox's own count says so, or a fault in it would end the
/// sandbox. What a sandbox has deleted takes room until it is punched out of the file, a moment later; the
/// layer is a hole in itself, so that room that is not used costs nothing.
pub(crate) fn layer_bytes(disk: Disk) -> u64 {
    2 * disk.bytes() + LAYER_OWN_BYTES
}
