//! Booting: folder, cgroup, users and layer (of which an ordinary user's node has but the folder), then the launcher.

use std::{path::PathBuf, sync::Arc};

use sentinal_engine::{
    BootSpec, EngineError,
    cgroup::{Limits, OutOfMemory},
    child::PATH,
    host::{HostEngine as _, InstanceFolder},
    layer::Inodes,
};
use sentinal_launcher::{Ground, PROGRAM_OOM_SCORE, Plan, Task, Users, loops::Loop};
use sentinal_model::{
    Disk, Memory, SandboxId,
    limits::{BOOT_DEADLINE, OPEN_FILES_MAX, PROCESSES_MAX},
};
use tokio_util::sync::CancellationToken;

use crate::{Privilege, engine::Native, grant, users::first_id};

/// Host tasks of one sandbox: what root inside can have beyond the limit of one user.
pub(crate) const TASKS_MAX: u32 = 2 * PROCESSES_MAX;
/// Open files of the agent itself, which holds several for each execution; its programs get fewer.
const AGENT_OPEN_FILES_MAX: u64 = 65_536;
/// `/dev/shm` is memory: it may take this share of the sandbox's.
const SHM_SHARE_OF_MEMORY: u64 = 4;
/// What the agent gives to programs as their score under memory pressure.
const ENV_PROGRAM_OOM_SCORE: &str = "SENTINAL_PROGRAM_OOM_SCORE";

pub(crate) async fn boot(engine: &Native, spec: &BootSpec, stop: &CancellationToken) -> Result<(), EngineError> {
    prepare(engine, &spec.id, spec.memory, spec.disk, stop).await?;
    // Held until the sandbox does.
    let image = image(engine, spec, stop).await?;
    let mut environment =
        vec![("PATH".to_owned(), PATH.to_owned()), (ENV_PROGRAM_OOM_SCORE.to_owned(), PROGRAM_OOM_SCORE.to_string())];
    environment.extend(spec.agent_env.iter().cloned());
    let plan = Plan {
        agent: spec.agent.clone(),
        environment,
        socket_folder: Some(spec.socket_folder.clone()),
        ..plan(engine, &spec.id, &image, spec.memory, spec.disk)?
    };
    launch(engine, plan, stop).await?;
    engine.hold(&spec.id)?.limit_cpu(spec.cpu)
}

/// An image as the sandboxes of this node can have it.
#[derive(Debug)]
pub(crate) enum Image {
    /// The device that its file is attached to.
    Device(Arc<Loop>),
    /// The folder that it was unpacked into, for these users.
    Tree(PathBuf, Users),
}

async fn image(engine: &Native, spec: &BootSpec, stop: &CancellationToken) -> Result<Image, EngineError> {
    match engine.privilege() {
        Privilege::Root => {
            engine.images().device(&spec.image).map(Image::Device).map_err(EngineError::io("attach", &spec.image))
        }
        Privilege::Unprivileged(users) => {
            grant::socket_folder(&spec.socket_folder, users).map_err(EngineError::io("open", &spec.socket_folder))?;
            Ok(Image::Tree(engine.trees().of(&spec.image, stop).await?, users))
        }
    }
}

/// Everything that is there before the first process.
pub(crate) async fn prepare(
    engine: &Native,
    id: &SandboxId,
    memory: Memory,
    disk: Disk,
    stop: &CancellationToken,
) -> Result<(), EngineError> {
    let folder = engine.instance(id);
    folder.make()?;
    engine.hold(id)?.create(Limits { memory, tasks: TASKS_MAX, out_of_memory: OutOfMemory::EndsOne })?;
    if engine.privilege() != Privilege::Root {
        return Ok(());
    }
    engine.users().claim(&folder)?;
    folder.layer().make(disk.bytes(), Inodes::ForSize, engine.templates(), stop).await
}

/// What is the same for all sandboxes of that size.
pub(crate) fn plan(
    engine: &Native,
    id: &SandboxId,
    image: &Image,
    memory: Memory,
    disk: Disk,
) -> Result<Plan, EngineError> {
    let folder = engine.instance(id);
    Ok(Plan {
        cgroup: engine.hold(id)?.entrances(),
        pid_file: folder.pid_file(),
        ground: ground(&folder, image, memory, disk)?,
        hostname: folder.hostname(),
        agent: PathBuf::new(),
        arguments: Vec::new(),
        environment: Vec::new(),
        socket_folder: None,
        shm_bytes: memory.bytes() / SHM_SHARE_OF_MEMORY,
        processes_max: u64::from(PROCESSES_MAX),
        open_files_max: OPEN_FILES_MAX,
        agent_open_files_max: AGENT_OPEN_FILES_MAX,
        to_its_end: false,
    })
}

fn ground(folder: &InstanceFolder, image: &Image, memory: Memory, disk: Disk) -> Result<Ground, EngineError> {
    let layer = folder.layer().file().to_owned();
    let lost = || EngineError::io("read the users of", &layer)(std::io::ErrorKind::NotFound.into());
    Ok(match image {
        Image::Device(device) => Ground::Root {
            first_id: first_id(folder).ok_or_else(lost)?,
            image: device.path().to_owned(),
            layer: folder.layer().file().to_owned(),
        },
        Image::Tree(tree, users) => Ground::Unprivileged {
            users: *users,
            image: tree.clone(),
            layer_bytes: disk.bytes(),
            memory_bytes: memory.bytes(),
        },
    })
}

/// Returns when the sandbox's init runs.
pub(crate) async fn launch(engine: &Native, plan: Plan, stop: &CancellationToken) -> Result<(), EngineError> {
    engine.config().launcher.run(&Task::Launch(plan), BOOT_DEADLINE, stop).await
}
