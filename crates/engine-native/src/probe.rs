//! The probe: a sandbox like any other, on an image of its own that holds nothing, whose agent says its version.

mod why;

use std::{fs, path::Path, sync::Arc, time::Duration};

use sentinal_engine::{EngineError, ProbeFailure, ProbeReport};
use sentinal_launcher::{Plan, Users, landlock_abi, loops::Loop};
use sentinal_model::{Disk, Memory, SandboxId};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    Privilege,
    boot::{self, Image},
    engine::Host,
    folder::{InstanceFolder, failed},
    halt,
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

pub(crate) async fn probe(host: &Arc<Host>) -> Result<ProbeReport, ProbeFailure> {
    let began = Instant::now();
    host.images().forget_idle();
    let oldest = if host.privilege() == Privilege::Root { OLDEST } else { OLDEST_UNPRIVILEGED };
    let release = why::machine(oldest)?;
    host.trees().tidy().await;
    let means = means(host)?;
    let id = SandboxId::generate();
    let _hidden = host.turns().hide(id);
    let late = |what: &str, deadline| EngineError::Deadline { what: what.to_owned(), deadline };
    let ran = timeout(RUN_DEADLINE, run(host, &id)).await.map_err(|_| late(STARTED, RUN_DEADLINE)).flatten();
    let removed = timeout(REMOVE_DEADLINE, halt::remove(host, &id)).await;
    let removed = removed.map_err(|_| late(REMOVED, REMOVE_DEADLINE)).flatten();
    ran.map_err(|error| why::failure(STARTED, error))?;
    removed.map_err(|error| why::failure(REMOVED, error))?;
    let landlock = landlock_abi().map_or_else(|| "no Landlock".to_owned(), |abi| format!("Landlock {abi}"));
    let version = format!("Linux {release} ({landlock}, {means})");
    Ok(ProbeReport { version, took: began.elapsed() })
}

/// What holds and limits sandboxes.
fn means(host: &Host) -> Result<String, ProbeFailure> {
    match host.privilege() {
        Privilege::Root => host.cgroups().map(|cgroups| cgroups.to_string()).map_err(|error| why::cgroups(&error)),
        Privilege::Unprivileged(Users::One) => Ok("unprivileged: one user, no cgroup".to_owned()),
        Privilege::Unprivileged(Users::Range { .. }) => Ok("unprivileged: users of its own, no cgroup".to_owned()),
    }
}

async fn run(host: &Arc<Host>, id: &SandboxId) -> Result<(), EngineError> {
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    boot::prepare(host, id, Memory::MIN, Disk::MIN, &stop).await?;
    let image = image(host, &host.folder(id), &stop).await?;
    let plan = Plan {
        agent: host.config().agent.clone(),
        arguments: vec!["--version".to_owned()],
        to_its_end: true,
        ..boot::plan(host, id, &image, Memory::MIN, Disk::MIN)?
    };
    boot::launch(host, plan, &stop).await
}

async fn image(host: &Host, folder: &InstanceFolder, stop: &CancellationToken) -> Result<Image, EngineError> {
    let path = folder.pid_file().with_file_name("image.erofs");
    fs::write(&path, EMPTY).map_err(failed("write", &path))?;
    match host.privilege() {
        Privilege::Root => attach(&path).map(|device| Image::Device(Arc::new(device))),
        Privilege::Unprivileged(users) => {
            let tree = path.with_file_name("image");
            let tree = host.trees().unpack(&path, &tree, stop).await?;
            Ok(Image::Tree(tree, users))
        }
    }
}

fn attach(path: &Path) -> Result<Loop, EngineError> {
    Loop::shared(path).map_err(failed("attach to a loop device", path))
}
