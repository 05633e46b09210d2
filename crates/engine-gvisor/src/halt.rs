//! Halting: the processes, then the folder, then the cgroup. `runsc` is not asked: killing
//! needs no help, it is over in milliseconds, and it ends even where `runsc delete` waits for ever.

use std::time::Duration;

use sentinal_engine::{EngineError, InstanceUsage};
use sentinal_model::SandboxId;

use crate::engine::Host;

/// How long killed processes may take to be gone.
const KILL_DEADLINE: Duration = Duration::from_secs(20);

/// Removes whatever exists of an instance and answers what it had used.
pub(crate) async fn remove(host: &Host, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
    let folder = host.folder(id);
    let cgroup = host.cgroups()?.of(id);
    let mut usage = cgroup.usage();
    usage.disk_bytes = folder.layer().disk_bytes();
    cgroup.kill(KILL_DEADLINE).await?;
    let removed = tokio::task::spawn_blocking(move || folder.remove()).await;
    removed
        .map_err(|error| EngineError::Io { what: "remove the instance's folder".to_owned(), source: error.into() })??;
    cgroup.remove().await?;
    Ok(usage)
}
