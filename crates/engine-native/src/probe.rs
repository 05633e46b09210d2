//! The probe: a sandbox like any other, on an image of its own that holds nothing, whose agent says its version.

mod why;

use std::{fs, path::Path, sync::Arc, time::Duration};

use sentinal_engine::{
    EngineError, ProbeFailure, ProbeReport,
    host::{self, HostEngine as _, InstanceFolder},
};
use sentinal_launcher::{Plan, Users, landlock_abi, loops::Loop};
use sentinal_model::{Disk, Memory, SandboxId};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Privilege,
    boot::{self, Image},
    engine::Native,
};

/// An EROFS file system with nothing in it: `mkfs.erofs -T0 --all-root -U 00000000-0000-0000-0000-000000000000 -E noinline_data`.
const EMPTY: &[u8] = include_bytes!("probe/empty.erofs");
/// Laying one file system with mapped users over another works since this release.
const OLDEST: why::Oldest = why::Oldest { release: (5, 19), because: "idmapped mounts below an overlay came with it" };
/// A tmpfs holds the attributes that overlayfs needs in a user namespace since this release.
const OLDEST_UNPRIVILEGED: why::Oldest =
    why::Oldest { release: (6, 6), because: "an overlay of an ordinary user upon memory came with it" };
/// How long the sandbox may take; with the removal this stays within
/// [`sentinal_model::limits::PROBE_DEADLINE`].
const RUN_DEADLINE: Duration = Duration::from_secs(10);
/// How long removing it may take.
const REMOVE_DEADLINE: Duration = Duration::from_secs(6);
const REMOVED: &str = "removing the sandbox of the probe";
const STARTED: &str = "a sandbox that runs the agent";

pub(crate) async fn probe(engine: &Arc<Native>) -> Result<ProbeReport, ProbeFailure> {
    let began = Instant::now();
    engine.images().forget_idle();
    let oldest = if engine.privilege() == Privilege::Root { OLDEST } else { OLDEST_UNPRIVILEGED };
    let release = why::machine(oldest)?;
    engine.trees().tidy().await;
    let means = means(engine)?;
    let id = SandboxId::generate();
    let _hidden = engine.turns().hide(id);
    let late = |what: &str, deadline| EngineError::Deadline { what: what.to_owned(), deadline };
    let ran = timeout(RUN_DEADLINE, run(engine, &id)).await.map_err(|_| late(STARTED, RUN_DEADLINE)).flatten();
    let removed = timeout(REMOVE_DEADLINE, host::remove(engine, &id)).await;
    let removed = removed.map_err(|_| late(REMOVED, REMOVE_DEADLINE)).flatten();
    ran.map_err(|error| why::failure(STARTED, error))?;
    removed.map_err(|error| why::failure(REMOVED, error))?;
    let landlock = landlock_abi().map_or_else(|| "no Landlock".to_owned(), |abi| format!("Landlock {abi}"));
    let version = format!("Linux {release} ({landlock}, {means})");
    Ok(ProbeReport { version, took: began.elapsed() })
}

/// What holds and limits sandboxes.
fn means(engine: &Native) -> Result<String, ProbeFailure> {
    match engine.privilege() {
        Privilege::Root => engine.cgroups().map(ToString::to_string).map_err(|error| why::cgroups(&error)),
        Privilege::Unprivileged(Users::One) => Ok("unprivileged: one user, no cgroup".to_owned()),
        Privilege::Unprivileged(Users::Range { .. }) => Ok("unprivileged: users of its own, no cgroup".to_owned()),
    }
}

async fn run(engine: &Native, id: &SandboxId) -> Result<(), EngineError> {
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    boot::prepare(engine, id, Memory::MIN, Disk::MIN, &stop).await?;
    let image = image(engine, &engine.instance(id), &stop).await?;
    let plan = Plan {
        agent: engine.config().agent.clone(),
        arguments: vec!["--version".to_owned()],
        to_its_end: true,
        ..boot::plan(engine, id, &image, Memory::MIN, Disk::MIN)?
    };
    boot::launch(engine, plan, &stop).await
}

async fn image(engine: &Native, folder: &InstanceFolder, stop: &CancellationToken) -> Result<Image, EngineError> {
    let path = folder.path().join("image.erofs");
    fs::write(&path, EMPTY).map_err(EngineError::io("write", &path))?;
    match engine.privilege() {
        Privilege::Root => attach(&path).map(|device| Image::Device(Arc::new(device))),
        Privilege::Unprivileged(users) => {
            let tree = folder.path().join("image");
            let tree = engine.trees().unpack(&path, &tree, stop).await?;
            Ok(Image::Tree(tree, users))
        }
    }
}

fn attach(path: &Path) -> Result<Loop, EngineError> {
    Loop::shared(path).map_err(EngineError::io("attach to a loop device", path))
}
