//! What holds an instance's processes together on the host, so that they can be found, watched and ended.
//!
//! With root it is the cgroup. Without, it is the sandbox's first process: with it the kernel ends all others of its pid
//! namespace.

use std::{os::fd::OwnedFd, path::PathBuf, time::Duration};

use rustix::process::{Signal, pidfd_send_signal};
use sentinal_model::Cpu;
use tokio::time::timeout;

use crate::{
    EndReason, EngineError, InstanceState, InstanceUsage,
    cgroup::{Cgroup, Limits, process_ended},
};

/// What holds the processes of one instance, whether there are any or not.
#[derive(Debug)]
pub enum Hold {
    /// Its cgroup.
    Cgroup(Cgroup),
    /// Its first process, if that lives: a descriptor which becomes readable when it has ended.
    FirstProcess(Option<OwnedFd>),
}

impl Hold {
    /// Makes what there has to be before the first process.
    pub fn create(&self, limits: Limits) -> Result<(), EngineError> {
        match self {
            Self::Cgroup(cgroup) => cgroup.create(limits),
            Self::FirstProcess(_) => Ok(()),
        }
    }

    /// Without a cgroup nothing limits it.
    pub fn limit_cpu(&self, cpu: Cpu) -> Result<(), EngineError> {
        match self {
            Self::Cgroup(cgroup) => cgroup.limit_cpu(cpu),
            Self::FirstProcess(_) => Ok(()),
        }
    }

    /// The files into which the first process writes `0` to enter.
    pub fn entrances(&self) -> Vec<PathBuf> {
        match self {
            Self::Cgroup(cgroup) => cgroup.entrances(),
            Self::FirstProcess(_) => Vec::new(),
        }
    }

    /// Whether anything of it exists on the host beyond the instance's folder.
    pub(super) fn exists(&self) -> bool {
        match self {
            Self::Cgroup(cgroup) => cgroup.exists(),
            Self::FirstProcess(process) => process.is_some(),
        }
    }

    /// How the instance is whose first process was `pid`.
    pub(super) fn state(&self, pid: Option<i32>) -> InstanceState {
        match self {
            Self::Cgroup(cgroup) if pid.is_some_and(|pid| cgroup.holds(pid)) => {
                if cgroup.is_frozen() {
                    InstanceState::Paused
                } else {
                    InstanceState::Running
                }
            }
            Self::FirstProcess(Some(_)) => InstanceState::Running,
            Self::Cgroup(_) | Self::FirstProcess(None) => InstanceState::Ended(self.end_reason()),
        }
    }

    /// Returns when the first process has ended, which was `pid`; at once when there is none.
    pub(super) async fn ended(&self, pid: Option<i32>) -> Result<(), EngineError> {
        match (self, pid) {
            (Self::Cgroup(cgroup), Some(pid)) => cgroup.ended(pid).await,
            (Self::FirstProcess(Some(process)), _) => end_of(process).await,
            (Self::Cgroup(_), None) | (Self::FirstProcess(None), _) => Ok(()),
        }
    }

    /// Why it has ended, as far as the host can tell.
    pub(super) fn end_reason(&self) -> EndReason {
        match self {
            Self::Cgroup(cgroup) => cgroup.end_reason(),
            Self::FirstProcess(_) => EndReason::Exited,
        }
    }

    /// What the host has counted; without a cgroup, nothing.
    pub(super) fn usage(&self) -> InstanceUsage {
        match self {
            Self::Cgroup(cgroup) => cgroup.usage(),
            Self::FirstProcess(_) => InstanceUsage::default(),
        }
    }

    /// Stops everything. Without a cgroup that cannot be done.
    pub(super) async fn freeze(&self) -> Result<(), EngineError> {
        match self {
            Self::Cgroup(cgroup) => cgroup.freeze().await,
            Self::FirstProcess(_) => Err(cannot_freeze()),
        }
    }

    /// Lets everything go on. Does nothing where it runs.
    pub(super) fn thaw(&self) -> Result<(), EngineError> {
        match self {
            Self::Cgroup(cgroup) => cgroup.thaw(),
            // It runs: nothing was frozen.
            Self::FirstProcess(_) => Ok(()),
        }
    }

    /// Kills everything and returns when it is gone.
    pub(super) async fn kill(&self, deadline: Duration) -> Result<(), EngineError> {
        match self {
            Self::Cgroup(cgroup) => cgroup.kill(deadline).await,
            Self::FirstProcess(Some(process)) => kill(process, deadline).await,
            Self::FirstProcess(None) => Ok(()),
        }
    }

    /// Removes what is left when the processes are gone.
    pub(super) async fn remove(&self) -> Result<(), EngineError> {
        match self {
            Self::Cgroup(cgroup) => cgroup.remove().await,
            Self::FirstProcess(_) => Ok(()),
        }
    }
}

/// The kernel says that the first process of a pid namespace has ended only when all others have.
async fn kill(first: &OwnedFd, deadline: Duration) -> Result<(), EngineError> {
    // Not an error where it has ended this instant; one that cannot be killed is still there at the deadline.
    let _ = pidfd_send_signal(first, Signal::KILL);
    let late = |_| EngineError::Deadline { what: "the end of the sandbox's processes".to_owned(), deadline };
    timeout(deadline, end_of(first)).await.map_err(late)?
}

async fn end_of(process: &OwnedFd) -> Result<(), EngineError> {
    let watched = process.try_clone();
    process_ended(watched.map_err(|source| EngineError::Io { what: "watch a process".to_owned(), source })?).await
}

/// A signal to each process would meet new ones, and everybody inside may send the one that lets it go on.
fn cannot_freeze() -> EngineError {
    let what =
        "without root there is no cgroup freezer to stop all processes of a sandbox at once; start the node as root";
    EngineError::NotSupported { what: what.to_owned() }
}
