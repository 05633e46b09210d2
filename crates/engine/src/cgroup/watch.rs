//! Waiting for the end of a process that is not our child.

use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::{Interest, unix::AsyncFd};

use super::Cgroup;
use crate::EngineError;

impl Cgroup {
    /// Whether that process is in it. The number alone says nothing: it may be a stranger's by now.
    pub fn holds(&self, pid: i32) -> bool {
        self.processes().contains(&pid)
    }

    /// Returns when that process of this cgroup has ended; at once when it is not in it.
    pub async fn ended(&self, pid: i32) -> Result<(), EngineError> {
        let Some(number) = Pid::from_raw(pid) else { return Ok(()) };
        let Ok(process) = pidfd_open(number, PidfdFlags::NONBLOCK) else { return Ok(()) };
        if !self.holds(pid) {
            return Ok(());
        }
        process_ended(process).await
    }
}

/// Returns when the process behind a descriptor has ended, be it a child or not.
pub async fn process_ended(process: OwnedFd) -> Result<(), EngineError> {
    readable(process).await.map_err(|source| EngineError::Io { what: "watch a process".to_owned(), source })
}

#[allow(deprecated, reason = "what is deprecated is unsafe only for descriptors that are not owned; this one is")]
async fn readable(process: OwnedFd) -> std::io::Result<()> {
    let process = AsyncFd::with_interest(process, Interest::READABLE)?;
    process.readable().await.map(|mut ready| ready.retain_ready())
}
