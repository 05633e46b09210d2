//! Halting: the processes, and with the last of them everything that is mounted; then the users, the folder and the
//! cgroup, if there is one.

use std::{sync::Arc, time::Duration};

use sentinal_engine::{EngineError, InstanceUsage};
use sentinal_model::SandboxId;

use crate::engine::Host;

/// How long killed processes may take to be gone.
const KILL_DEADLINE: Duration = Duration::from_secs(20);

/// Removes whatever exists of an instance and answers what it had used.
pub(crate) async fn remove(host: &Arc<Host>, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
    let folder = host.folder(id);
    let hold = host.hold(id)?;
    let usage = InstanceUsage { disk_bytes: folder.layer().disk_bytes(), ..hold.usage() };
    hold.kill(KILL_DEADLINE).await?;
    let (own, id) = (Arc::clone(host), *id);
    let removed = tokio::task::spawn_blocking(move || {
        own.users().release(&id, &folder)?;
        folder.remove()
    });
    let lost = |error: tokio::task::JoinError| EngineError::Io {
        what: "remove the instance's folder".to_owned(),
        source: error.into(),
    };
    removed.await.map_err(lost)??;
    hold.remove().await?;
    Ok(usage)
}
