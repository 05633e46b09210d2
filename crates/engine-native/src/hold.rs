//! What holds an instance's processes together on the host, so that they can be found, watched and ended.
//!
//! With root it is the cgroup. Without, it is the sandbox's first process: with it the kernel ends all others of its pid
//! namespace. Which process that is was written down before it began, with the moment it did, so that another one that
//! has its number by now is not taken for it.

use std::{os::fd::OwnedFd, path::PathBuf, time::Duration};

use rustix::process::{Signal, pidfd_send_signal};
use sentinal_engine::{
    EndReason, EngineError, InstanceState, InstanceUsage,
    cgroup::{Cgroup, Limits, process_ended},
};
use sentinal_launcher::Started;
use sentinal_model::Cpu;
use tokio::time::timeout;

use crate::folder::InstanceFolder;

/// What holds the processes of one instance, whether there are any or not.
#[derive(Debug, Clone)]
pub(crate) enum Hold {
    /// Its cgroup.
    Cgroup(Cgroup),
    /// Its first process.
    Init(Option<Started>),
}

impl Hold {
    pub(crate) fn of_init(folder: &InstanceFolder) -> Self {
        Self::Init(folder.init())
    }

    /// Makes what there has to be before the first process.
    pub(crate) fn create(&self, limits: Limits) -> Result<(), EngineError> {
        match self {
            Self::Cgroup(cgroup) => cgroup.create(limits),
            Self::Init(_) => Ok(()),
        }
    }

    /// Without a cgroup nothing limits it.
    pub(crate) fn limit_cpu(&self, cpu: Cpu) -> Result<(), EngineError> {
        match self {
            Self::Cgroup(cgroup) => cgroup.limit_cpu(cpu),
            Self::Init(_) => Ok(()),
        }
    }

    /// The files into which the launcher writes `0` to enter.
    pub(crate) fn entrances(&self) -> Vec<PathBuf> {
        match self {
            Self::Cgroup(cgroup) => cgroup.entrances(),
            Self::Init(_) => Vec::new(),
        }
    }

    /// Whether anything of it exists on the host beyond the instance's folder.
    pub(crate) fn exists(&self) -> bool {
        match self {
            Self::Cgroup(cgroup) => cgroup.exists(),
            Self::Init(init) => hold(*init).is_some(),
        }
    }

    /// How the instance is whose first process was `pid`.
    pub(crate) fn state(&self, pid: Option<i32>) -> InstanceState {
        match self {
            Self::Cgroup(cgroup) if pid.is_some_and(|pid| cgroup.holds(pid)) => {
                if cgroup.is_frozen() {
                    InstanceState::Paused
                } else {
                    InstanceState::Running
                }
            }
            Self::Init(init) if hold(*init).is_some() => InstanceState::Running,
            Self::Cgroup(_) | Self::Init(_) => InstanceState::Ended(self.end_reason()),
        }
    }

    /// Returns when the first process has ended; at once when there is none.
    pub(crate) async fn ended(&self, pid: Option<i32>) -> Result<(), EngineError> {
        match (self, pid) {
            (Self::Cgroup(cgroup), Some(pid)) => cgroup.ended(pid).await,
            (Self::Cgroup(_), None) => Ok(()),
            (Self::Init(init), _) => match hold(*init) {
                Some(process) => process_ended(process).await,
                None => Ok(()),
            },
        }
    }

    /// Why it has ended, as far as the host can tell.
    pub(crate) fn end_reason(&self) -> EndReason {
        match self {
            Self::Cgroup(cgroup) => cgroup.end_reason(),
            Self::Init(_) => EndReason::Exited,
        }
    }

    /// What the host has counted; without a cgroup, nothing.
    pub(crate) fn usage(&self) -> InstanceUsage {
        match self {
            Self::Cgroup(cgroup) => cgroup.usage(),
            Self::Init(_) => InstanceUsage::default(),
        }
    }

    /// Stops everything. Without a cgroup that cannot be done.
    pub(crate) async fn freeze(&self) -> Result<(), EngineError> {
        match self {
            Self::Cgroup(cgroup) => cgroup.freeze().await,
            Self::Init(_) => Err(cannot_freeze()),
        }
    }

    /// Lets everything go on. Does nothing where it runs.
    pub(crate) fn thaw(&self) -> Result<(), EngineError> {
        match self {
            Self::Cgroup(cgroup) => cgroup.thaw(),
            // It runs: nothing was frozen.
            Self::Init(_) => Ok(()),
        }
    }

    /// Kills everything and returns when it is gone.
    pub(crate) async fn kill(&self, deadline: Duration) -> Result<(), EngineError> {
        match self {
            Self::Cgroup(cgroup) => cgroup.kill(deadline).await,
            Self::Init(init) => match hold(*init) {
                Some(process) => kill(process, deadline).await,
                None => Ok(()),
            },
        }
    }

    /// Removes what is left when the processes are gone.
    pub(crate) async fn remove(&self) -> Result<(), EngineError> {
        match self {
            Self::Cgroup(cgroup) => cgroup.remove().await,
            Self::Init(_) => Ok(()),
        }
    }
}

/// The process, if it lives.
fn hold(init: Option<Started>) -> Option<OwnedFd> {
    init?.hold()
}

/// The kernel says that the first process of a pid namespace has ended only when all others have.
async fn kill(init: OwnedFd, deadline: Duration) -> Result<(), EngineError> {
    // Not an error where it has ended this instant; one that cannot be killed is still there at the deadline.
    let _ = pidfd_send_signal(&init, Signal::KILL);
    let late = |_| EngineError::Deadline { what: "the end of the sandbox's processes".to_owned(), deadline };
    timeout(deadline, process_ended(init)).await.map_err(late)?
}

/// A signal to each process would meet new ones, and everybody inside may send the one that lets it go on.
fn cannot_freeze() -> EngineError {
    let what =
        "without root there is no cgroup freezer to stop all processes of a sandbox at once; start the node as root";
    EngineError::NotSupported { what: what.to_owned() }
}
