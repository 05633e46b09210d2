//! Engines that keep their instances on this host, in a folder and held by the kernel: the verbs that are the same for
//! all of them, around the few that are an engine's own.
//!
//! Nothing is remembered: the folder of an id, and what holds its processes, say what exists, so that a crash at any
//! instruction is cleaned up by a halt.
//!
//! Start at [`HostEngine`], which an engine implements, then [`OnHost`].

mod folder;
mod hold;

use std::{collections::BTreeSet, io, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use sentinal_model::{
    EngineName, SandboxId,
    limits::{BOOT_DEADLINE, HALT_DEADLINE},
};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    BootSpec, EndReason, Engine, EngineError, Instance, InstanceState, InstanceUsage, ProbeFailure, ProbeReport, Turns,
    to_its_end,
};

pub use folder::InstanceFolder;
pub use hold::Hold;

/// How long killed processes may take to be gone.
const KILL_DEADLINE: Duration = Duration::from_secs(20);
/// How long removing a folder may take.
const REMOVE_DEADLINE: Duration = Duration::from_secs(5);
/// How soon it is tried again when something appeared in it meanwhile.
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// What an engine on this host does in its own way.
pub trait HostEngine: Send + Sync + std::fmt::Debug + 'static {
    /// Which engine this is.
    fn name(&self) -> EngineName;

    /// The engine's own folder, in which each instance has one.
    fn folder(&self) -> &Path;

    /// Who changes which instance.
    fn turns(&self) -> &Turns;

    /// What holds the processes of an instance, as far as they are known now.
    fn hold(&self, id: &SandboxId) -> Result<Hold, EngineError>;

    /// The sandboxes of which anything is held, whether they have a folder or not.
    fn held(&self) -> Result<BTreeSet<SandboxId>, EngineError>;

    /// As [`Engine::probe`].
    fn probe(self: Arc<Self>) -> impl Future<Output = Result<ProbeReport, ProbeFailure>> + Send;

    /// As [`Engine::expect_boot`]. Takes milliseconds: not for an async thread.
    fn expect_boot(&self);

    /// Boots an instance of which nothing exists, and leaves off when `stop` says so.
    fn boot(
        self: Arc<Self>,
        spec: BootSpec,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Gives back what the instance has outside its folder; its processes are gone. Takes milliseconds: not for an async
    /// thread.
    fn release(&self, folder: &InstanceFolder) -> Result<(), EngineError>;

    /// As [`Engine::can_rest`].
    fn can_rest(&self) -> bool {
        false
    }

    /// As [`Engine::rest`], for an instance whose first process is `pid`.
    fn rest(&self, pid: i32) -> Result<(), EngineError> {
        let _ = pid;
        Ok(())
    }

    /// As [`Engine::rouse`], for an instance whose first process is `pid`.
    fn rouse(&self, pid: i32) -> Result<(), EngineError> {
        let _ = pid;
        Ok(())
    }

    /// The folder of an instance, whether it exists or not.
    fn instance(&self, id: &SandboxId) -> InstanceFolder {
        InstanceFolder::new(self.folder(), *id)
    }
}

/// An engine on this host, whole. Its clones are the same engine.
#[derive(Debug)]
pub struct OnHost<E>(Arc<E>);

impl<E> Clone for OnHost<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E: HostEngine> OnHost<E> {
    /// Touches nothing yet.
    pub fn new(engine: E) -> Self {
        Self(Arc::new(engine))
    }

    fn state(&self, id: &SandboxId) -> Result<InstanceState, EngineError> {
        let folder = self.0.instance(id);
        if !folder.is_booted() {
            return Ok(InstanceState::Partial);
        }
        Ok(self.0.hold(id)?.state(folder.pid()))
    }

    /// What holds an instance that is alive.
    fn alive(&self, id: &SandboxId) -> Result<Hold, EngineError> {
        match self.state(id)? {
            InstanceState::Running | InstanceState::Paused => self.0.hold(id),
            InstanceState::Partial | InstanceState::Ended(_) => Err(EngineError::NotFound(*id)),
        }
    }

    fn booted(&self, id: &SandboxId) -> Result<InstanceFolder, EngineError> {
        let folder = self.0.instance(id);
        if folder.is_booted() { Ok(folder) } else { Err(EngineError::NotFound(*id)) }
    }

    fn pid(&self, id: &SandboxId) -> Result<i32, EngineError> {
        self.alive(id)?;
        self.0.instance(id).pid().ok_or(EngineError::NotFound(*id))
    }
}

#[async_trait]
impl<E: HostEngine> Engine for OnHost<E> {
    fn name(&self) -> EngineName {
        self.0.name()
    }

    async fn probe(&self) -> Result<ProbeReport, ProbeFailure> {
        Arc::clone(&self.0).probe().await
    }

    fn expect_boot(&self) {
        let engine = Arc::clone(&self.0);
        drop(spawn_blocking(move || engine.expect_boot()));
    }

    async fn boot(&self, spec: &BootSpec) -> Result<(), EngineError> {
        let stop = CancellationToken::new();
        // Stops the boot at the deadline, and when this future is dropped.
        let _stop = stop.clone().drop_guard();
        let (engine, spec) = (Arc::clone(&self.0), spec.clone());
        let work = async move {
            let _alone = engine.turns().take(&spec.id).await;
            boot(&engine, spec, stop).await
        };
        to_its_end("the boot", BOOT_DEADLINE, work).await
    }

    async fn halt(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
        let (engine, id) = (Arc::clone(&self.0), *id);
        let work = async move {
            let _alone = engine.turns().take(&id).await;
            remove(&engine, &id).await
        };
        to_its_end("the halt", HALT_DEADLINE, work).await
    }

    async fn pause(&self, id: &SandboxId) -> Result<(), EngineError> {
        let _alone = self.0.turns().take(id).await;
        self.alive(id)?.freeze().await
    }

    async fn resume(&self, id: &SandboxId) -> Result<(), EngineError> {
        let _alone = self.0.turns().take(id).await;
        self.alive(id)?.thaw()
    }

    fn can_rest(&self) -> bool {
        self.0.can_rest()
    }

    async fn rest(&self, id: &SandboxId) -> Result<(), EngineError> {
        self.0.rest(self.pid(id)?)
    }

    async fn rouse(&self, id: &SandboxId) -> Result<(), EngineError> {
        self.0.rouse(self.pid(id)?)
    }

    async fn list(&self) -> Result<Vec<Instance>, EngineError> {
        let mut ids = self.0.held()?;
        ids.extend(folder::list(self.0.folder())?);
        ids.retain(|id| !self.0.turns().is_hidden(id));
        ids.into_iter().map(|id| Ok(Instance { id, state: self.state(&id)? })).collect()
    }

    async fn stats(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
        let folder = self.booted(id)?;
        Ok(InstanceUsage { disk_bytes: folder.layer().disk_bytes(), ..self.0.hold(id)?.usage() })
    }

    async fn ended(&self, id: &SandboxId) -> Result<EndReason, EngineError> {
        let folder = self.booted(id)?;
        let hold = self.0.hold(id)?;
        hold.ended(folder.pid()).await?;
        Ok(hold.end_reason())
    }
}

/// Does nothing for an instance that was booted before, also when it has ended since. The mark that it is booted comes
/// last.
async fn boot<E: HostEngine>(engine: &Arc<E>, spec: BootSpec, stop: CancellationToken) -> Result<(), EngineError> {
    let folder = engine.instance(&spec.id);
    if folder.is_booted() {
        return Ok(());
    }
    if folder.exists() || engine.hold(&spec.id)?.exists() {
        remove(engine, &spec.id).await?;
    }
    Arc::clone(engine).boot(spec, stop).await?;
    folder.mark_booted()
}

/// Removes whatever exists of an instance and answers what it had used: the processes, and with the last of them
/// everything that is mounted; then the folder and what else it has; then what held them.
pub async fn remove<E: HostEngine>(engine: &Arc<E>, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
    let folder = engine.instance(id);
    let hold = engine.hold(id)?;
    let usage = InstanceUsage { disk_bytes: folder.layer().disk_bytes(), ..hold.usage() };
    hold.kill(KILL_DEADLINE).await?;
    let removing = async {
        while let Err(error) = remove_folder(engine, &folder).await {
            if !is_not_empty(&error) {
                return Err(error);
            }
            // A child of an engine that was killed is about to be, too, and may write until then.
            sleep(AGAIN_AFTER).await;
        }
        Ok(())
    };
    let late =
        |_| EngineError::Deadline { what: "removing the instance's folder".to_owned(), deadline: REMOVE_DEADLINE };
    timeout(REMOVE_DEADLINE, removing).await.map_err(late)??;
    hold.remove().await?;
    Ok(usage)
}

async fn remove_folder<E: HostEngine>(engine: &Arc<E>, folder: &InstanceFolder) -> Result<(), EngineError> {
    let (engine, folder) = (Arc::clone(engine), folder.clone());
    let removed = spawn_blocking(move || {
        engine.release(&folder)?;
        folder.remove()
    });
    let lost = |error: tokio::task::JoinError| EngineError::Io {
        what: "remove the instance's folder".to_owned(),
        source: error.into(),
    };
    removed.await.map_err(lost)?
}

fn is_not_empty(error: &EngineError) -> bool {
    matches!(error, EngineError::Io { source, .. } if source.kind() == io::ErrorKind::DirectoryNotEmpty)
}
