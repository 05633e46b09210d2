//! From configuration to a node that serves, and to its end.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sentinal_engine::{Engine, host::OnHost};
use sentinal_engine_gvisor::{Gvisor, GvisorConfig, Starter};
use sentinal_engine_native::{Launcher, Native, NativeConfig};
use sentinal_image::{ImageError, ImageStore};
use sentinal_model::SystemClock;
use sentinal_node_protocol::{HostBootId, NodeEvent};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    agent::AgentFile,
    blocking::Threads,
    config::{NodeConfig, NodeParts},
    door::Door,
    error::NodeError,
    folder::{FolderError, StateFolder},
    host::Host,
    idle, limits,
    room::ThisMachine,
    service,
    socket::{self, SocketError},
};

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[error("the node cannot start")]
pub struct StartError {
    #[from]
    source: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Adopt(#[from] NodeError),
    #[error(transparent)]
    Images(#[from] ImageError),
    #[error("cannot tell which start of the host this is")]
    HostBootId(#[source] io::Error),
}

/// What engines start their programs with.
#[derive(Debug, Clone)]
pub struct Programs {
    /// For `runsc`.
    pub starter: Starter,
    /// For native sandboxes.
    pub launcher: Launcher,
}

/// The engines, images and clock of this machine, for the one node that works in this folder. Of the images, what was on
/// its way when a node before this one died is removed.
pub fn this_machine(config: &NodeConfig, programs: Programs) -> Result<NodeParts, StartError> {
    let images = ImageStore::open(&config.images).map_err(Cause::from)?;
    if let Err(error) = images.sweep_incoming() {
        tracing::warn!(%error, "what was left of images on their way stays");
    }
    Ok(NodeParts {
        engines: engines(config, programs),
        images: Arc::new(images),
        hardware: Arc::new(ThisMachine),
        blocking: Arc::new(Threads),
        clock: Arc::new(SystemClock),
        host_boot_id: host_boot_id().map_err(Cause::HostBootId)?,
    })
}

/// The engines of this build, which keep everything in the state folder.
pub(crate) fn engines(config: &NodeConfig, programs: Programs) -> Vec<Arc<dyn Engine>> {
    let Programs { starter, launcher } = programs;
    let folder = config.state_folder.join("gvisor");
    let gvisor = GvisorConfig { runsc: in_path(&config.runsc), ..GvisorConfig::in_folder(&folder, starter) };
    let native = NativeConfig::in_folder(&config.state_folder.join("native"), launcher, config.agent.clone());
    vec![Arc::new(OnHost::new(Gvisor::new(gvisor))), Arc::new(OnHost::new(Native::new(native)))]
}

/// Runs a node with these parts until `shutdown`, or until it has been idle for as long as it is told to wait.
/// Instances go on without it and are taken over by the next one.
pub async fn run_with(
    config: NodeConfig,
    parts: NodeParts,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), StartError> {
    let host = host(&config, parts).await?;
    let _guard = host.guard();
    adopt(&host).await?;
    let (listener, _file) = socket::listen(&config.socket, config.server).map_err(Cause::from)?;
    let _probing = start_probing(&host);
    tracing::debug!(node = %config.node_id, socket = %config.socket.display(), "node started");

    let stop = CancellationToken::new();
    let door = Door::new(config.server, stop.clone());
    let service = service::server(Arc::clone(&host), config.node_id, stop.clone());
    let serving = AbortOnDropHandle::new(tokio::spawn(door.clone().serve(listener, service)));
    tokio::select! {
        () = shutdown => tracing::info!("node told to stop; instances go on"),
        () = idle(config.exit_when_idle, &door, &host) => tracing::info!("node had nothing to do; it ends"),
    }
    stop.cancel();
    let finished = async {
        // Its end is what matters, not how.
        let _ = serving.await;
        host.idle().await;
    };
    if timeout(limits::STOP_DEADLINE, finished).await.is_err() {
        tracing::warn!("node stopped with requests under way; the next one finds them half done");
    }
    Ok(())
}

/// The host, as far as its state folder says what it is.
pub(crate) async fn host(config: &NodeConfig, parts: NodeParts) -> Result<Arc<Host>, StartError> {
    let folder = take_over(config).await.map_err(Cause::from)?;
    Ok(Host::new(folder, AgentFile::new(config.agent.clone()), parts))
}

/// Takes over what the node before left.
pub(crate) async fn adopt(host: &Arc<Host>) -> Result<(), StartError> {
    Ok(host.adopt().await.map_err(Cause::from)?)
}

/// Holds the state folder, once a node that is just ending has let go of it.
async fn take_over(config: &NodeConfig) -> Result<StateFolder, FolderError> {
    let asked = Instant::now();
    loop {
        match StateFolder::hold(&config.state_folder, config.server) {
            Err(FolderError::InUse { .. }) if asked.elapsed() < limits::HANDOVER_DEADLINE => {
                sleep(limits::HANDOVER_RETRY).await;
            }
            held => return held,
        }
    }
}

/// Returns when this process is asked to end.
pub async fn stop_signal() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

pub(crate) fn start_probing(host: &Arc<Host>) -> Vec<AbortOnDropHandle<()>> {
    let probing = host.engines.all().map(|engine| {
        let telling = Arc::clone(host);
        let changed = move || telling.tell(NodeEvent::EnginesChanged);
        host.beside(Arc::clone(engine).keep_probing(changed))
    });
    probing.collect()
}

async fn idle(patience: Option<Duration>, door: &Door, host: &Host) {
    match patience {
        Some(patience) => idle::idle_for(patience, door, host).await,
        None => std::future::pending().await,
    }
}

/// The absolute path of a program that may be named without one; what cannot be found stays as it is, and the
/// probe says so.
fn in_path(program: &Path) -> PathBuf {
    if program.components().nth(1).is_some() {
        return std::path::absolute(program).unwrap_or_else(|_| program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| program.to_owned())
}

fn host_boot_id() -> io::Result<HostBootId> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(HostBootId(text.trim().to_owned()))
}

#[cfg(test)]
mod tests;
