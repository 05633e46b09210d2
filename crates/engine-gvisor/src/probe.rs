//! The probe: `runsc` runs itself in a sandbox, on a layer and in a cgroup like any other.

use std::{io, sync::Arc, time::Duration};

use sentinal_engine::{
    EngineError, ProbeFailure, ProbeReport,
    cgroup::{Limits, OutOfMemory},
    child::Child,
    host::{self, HostEngine as _},
    layer::Inodes,
};
use sentinal_model::{Disk, Memory, SandboxId};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    boot::{TASKS_MAX, layer_bytes},
    bundle::{Bundle, Root},
    engine::Gvisor,
    folder::Furnished,
    runsc::{self, Mode, OLDEST, Release},
    starter::Start,
};

/// How long `runsc --version` may take.
const VERSION_DEADLINE: Duration = Duration::from_secs(5);
/// How long the sandbox may take; with the removal this stays within
/// [`sentinal_model::limits::PROBE_DEADLINE`].
const RUN_DEADLINE: Duration = Duration::from_secs(8);
/// How long removing it may take.
const REMOVE_DEADLINE: Duration = Duration::from_secs(6);
const INSTALL: &str = "install gVisor's runsc (Debian: `apt install runsc` from bookworm-backports)";
const REMOVED: &str = "removing the sandbox of the probe";
const STARTED: &str = "a sandbox that runs `runsc --version`";

pub(crate) async fn probe(engine: &Arc<Gvisor>) -> Result<ProbeReport, ProbeFailure> {
    let began = Instant::now();
    if !rustix::process::geteuid().is_root() {
        let hint = "start the node as root: sudo sentinal node".to_owned();
        return Err(ProbeFailure::Refused { what: "gVisor sandboxes need root on the host".to_owned(), hint });
    }
    let version = version(engine).await?;
    engine.cgroups().map_err(|error| ProbeFailure::Refused {
        what: error.to_string(),
        hint: "mount the memory, cpu and pids cgroup controllers".to_owned(),
    })?;
    let id = SandboxId::generate();
    let _probing = engine.turns().hide(id);
    let ran = run(engine, id).await;
    let late = |_| EngineError::Deadline { what: REMOVED.to_owned(), deadline: REMOVE_DEADLINE };
    let removed = timeout(REMOVE_DEADLINE, host::remove(engine, &id)).await.map_err(late).flatten();
    ran.map_err(|error| failure(STARTED, error))?;
    removed.map_err(|error| failure(REMOVED, error))?;
    Ok(ProbeReport { version: format!("{version} (systrap)"), took: began.elapsed() })
}

async fn version(engine: &Gvisor) -> Result<String, ProbeFailure> {
    let runsc = &engine.config().runsc;
    let asked = Child::new(runsc, VERSION_DEADLINE).args(["--version"]).finish(&CancellationToken::new()).await;
    let said = asked.map_err(|error| {
        if is_missing(&error) {
            return ProbeFailure::Missing { program: runsc.display().to_string(), hint: INSTALL.to_owned() };
        }
        failure("`runsc --version`", error)
    })?;
    let words = said.split_whitespace().take(3).collect::<Vec<_>>().join(" ").replace(" version ", " ");
    match Release::parse(&said) {
        Some(release) if OLDEST <= release => Ok(words),
        Some(release) => Err(ProbeFailure::TooOld {
            program: "runsc".to_owned(),
            found: release.to_string(),
            needed: OLDEST.to_string(),
            hint: INSTALL.to_owned(),
        }),
        None => {
            Err(ProbeFailure::Failed { what: "`runsc --version`".to_owned(), detail: format!("it answered {said:?}") })
        }
    }
}

async fn run(engine: &Gvisor, id: SandboxId) -> Result<(), EngineError> {
    let stop = CancellationToken::new();
    let folder = Furnished(engine.instance(&id));
    let hold = engine.hold(&id)?;
    folder.make()?;
    hold.create(Limits { memory: Memory::MIN, tasks: TASKS_MAX, out_of_memory: OutOfMemory::EndsAll })?;
    let layer = folder.0.layer();
    layer.make(layer_bytes(Disk::MIN), Inodes::Few, engine.templates(), &stop).await?;
    let bundle = Bundle {
        root: Root::Empty,
        hostname: &folder.0.hostname(),
        init: &["/.sentinal/agent", "--version"],
        env: &[],
        guest: &folder.guest(),
        memory: Memory::MIN,
    };
    folder.write_config(&bundle.config())?;
    let start = Start {
        binds: vec![(engine.config().runsc.clone(), folder.guest_agent())],
        layer: (layer.file().to_owned(), folder.layer_point()),
        cgroup: hold.entrances(),
    };
    let runsc = runsc::run(engine.config(), &folder, start, Mode::Attached, RUN_DEADLINE);
    runsc.with_lasting_descendants().finish(&stop).await.map(drop)
}

fn is_missing(error: &EngineError) -> bool {
    matches!(error, EngineError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

fn failure(what: &str, error: EngineError) -> ProbeFailure {
    let what = what.to_owned();
    if let EngineError::Deadline { deadline, .. } = error {
        return ProbeFailure::Hung { what, deadline };
    }
    let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    ProbeFailure::Failed { what, detail: format!("{error}{cause}") }
}
