//! The probe: a sandbox like any other, on an image of its own that holds nothing, whose agent says its version.

mod why;

use std::{fs, path::Path, sync::Arc, time::Duration};

use sentinal_engine::{EngineError, ProbeFailure, ProbeReport};
use sentinal_launcher::{Plan, landlock_abi, loops::Loop};
use sentinal_model::{Disk, Memory, SandboxId};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    boot,
    engine::Host,
    folder::{InstanceFolder, failed},
    halt,
};

/// An EROFS file system with nothing in it: `mkfs.erofs -T0 --all-root -U 00000000-0000-0000-0000-000000000000 -E noinline_data`.
const EMPTY: &[u8] = include_bytes!("probe/empty.erofs");
/// Laying one file system with mapped users over another works since this release.
const OLDEST: (u32, u32) = (5, 19);
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
    let release = why::machine(OLDEST)?;
    let cgroups = host.cgroups().map_err(|error| why::cgroups(&error))?;
    let id = SandboxId::generate();
    let _hidden = host.turns().hide(id);
    let late = |what: &str, deadline| EngineError::Deadline { what: what.to_owned(), deadline };
    let ran = timeout(RUN_DEADLINE, run(host, &id)).await.map_err(|_| late(STARTED, RUN_DEADLINE)).flatten();
    let removed = timeout(REMOVE_DEADLINE, halt::remove(host, &id)).await;
    let removed = removed.map_err(|_| late(REMOVED, REMOVE_DEADLINE)).flatten();
    ran.map_err(|error| why::failure(STARTED, error))?;
    removed.map_err(|error| why::failure(REMOVED, error))?;
    let landlock = landlock_abi().map_or_else(|| "no Landlock".to_owned(), |abi| format!("Landlock {abi}"));
    let version = format!("Linux {release} ({landlock}, {cgroups})");
    Ok(ProbeReport { version, took: began.elapsed() })
}

async fn run(host: &Arc<Host>, id: &SandboxId) -> Result<(), EngineError> {
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let folder = host.folder(id);
    let cgroup = host.cgroups()?.of(id);
    boot::prepare(host, id, Memory::MIN, Disk::MIN, &stop).await?;
    let image = image(&folder)?;
    let plan = Plan {
        image: image.path().to_owned(),
        agent: host.config().agent.clone(),
        arguments: vec!["--version".to_owned()],
        to_its_end: true,
        ..boot::plan(&folder, &cgroup, id, Memory::MIN)?
    };
    boot::launch(host, &plan, &stop).await
}

fn image(folder: &InstanceFolder) -> Result<Loop, EngineError> {
    let path = folder.pid_file().with_file_name("image.erofs");
    fs::write(&path, EMPTY).map_err(failed("write", &path))?;
    attach(&path)
}

fn attach(path: &Path) -> Result<Loop, EngineError> {
    Loop::shared(path).map_err(failed("attach to a loop device", path))
}
