//! What goes into an engine and what comes out.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use sentinal_model::{Cpu, Disk, Memory, SandboxId};

/// Everything an engine needs to boot one instance. All paths are on the host and are the node's own.
#[derive(Debug, Clone)]
pub struct BootSpec {
    /// The name of all that is made.
    pub id: SandboxId,
    /// Where the engine may keep files of this instance. Exists; removed by the node after a halt.
    pub folder: PathBuf,
    /// The image: a read-only EROFS file.
    pub image: PathBuf,
    /// The agent's static binary, bind-mounted read-only at `/.sentinal/agent` and started as init.
    pub agent: PathBuf,
    /// The folder with the socket that the agent dials, bind-mounted read-only at `/.sentinal/host`.
    pub socket_folder: PathBuf,
    /// The agent's environment.
    pub agent_env: Vec<(String, String)>,
    /// Cores.
    pub cpu: Cpu,
    /// Memory, the engine's own part included.
    pub memory: Memory,
    /// What may be written.
    pub disk: Disk,
}

/// A sandbox's trace on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Whose it is.
    pub id: SandboxId,
    /// How much of it there is.
    pub state: InstanceState,
}

/// How much of an instance exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// Something, but it was never fully booted: to be halted.
    Partial,
    /// Booted and alive.
    Running,
    /// Booted, alive, and stopped where it was until it is resumed.
    Paused,
    /// Booted once and ended by itself: to be halted.
    Ended(EndReason),
}

/// Why an instance ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Its process ended, for whatever reason the host cannot tell.
    Exited,
    /// Its memory limit was reached and the kernel killed it.
    Oom,
}

/// What the host counted for an instance; zero where it could not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InstanceUsage {
    /// User and system time, in microseconds.
    pub cpu_us: u64,
    /// Memory now, in bytes.
    pub memory_bytes: u64,
    /// Most memory so far, in bytes.
    pub memory_peak_bytes: u64,
    /// Written and kept on its disk, in bytes.
    pub disk_bytes: u64,
    /// Host processes and threads now.
    pub processes: u64,
    /// Processes that the kernel has killed because the sandbox's memory was full.
    pub oom_kills: u64,
}

/// A successful probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// What answered, for example `runsc 0.0~20240729.0 (systrap)`.
    pub version: String,
    /// How long it took.
    pub took: Duration,
}

/// Why an engine cannot be used on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeFailure {
    /// A program it needs is not there.
    #[error("{program} is not installed; {hint}")]
    Missing {
        /// The program.
        program: String,
        /// What to do.
        hint: String,
    },
    /// A program it needs is older than what is supported.
    #[error("{program} {found} is too old; at least {needed} is needed: {hint}")]
    TooOld {
        /// The program.
        program: String,
        /// Its version.
        found: String,
        /// The oldest that serves.
        needed: String,
        /// What to do.
        hint: String,
    },
    /// The machine refuses something that is needed.
    #[error("{what}; {hint}")]
    Refused {
        /// What was refused, and by whom.
        what: String,
        /// What to do.
        hint: String,
    },
    /// It started something, and that did not end in time.
    #[error("{what} did not finish within {} s", deadline.as_secs())]
    Hung {
        /// What was started.
        what: String,
        /// How long it was given.
        deadline: Duration,
    },
    /// It started something, and that failed.
    #[error("{what} failed: {detail}")]
    Failed {
        /// What was started.
        what: String,
        /// The end of what it said, bounded and without control characters.
        detail: String,
    },
}

/// Why a verb of an engine failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no such instance.
    #[error("there is no instance of {0}")]
    NotFound(SandboxId),
    /// This host cannot do that.
    #[error("{what}")]
    NotSupported {
        /// What it cannot do, and why.
        what: String,
    },
    /// The host has no disk space for it.
    #[error("no disk space left on the host for {what}")]
    NoSpace {
        /// What was to be written.
        what: String,
    },
    /// A child process failed.
    #[error("{program} failed with {status}: {stderr}")]
    Child {
        /// Which program.
        program: String,
        /// How it ended.
        status: String,
        /// The end of what it said, bounded and without control characters.
        stderr: String,
    },
    /// A child process or the kernel did not get there in time.
    #[error("{what} did not finish within {} s", deadline.as_secs())]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        deadline: Duration,
    },
    /// A system call or file operation failed.
    #[error("cannot {what}")]
    Io {
        /// What was being done.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl EngineError {
    /// What a file operation that failed makes of the kernel's answer, with the name of the file.
    pub fn io(verb: &str, path: &Path) -> impl Fn(io::Error) -> Self {
        let what = format!("{verb} {}", path.display());
        move |source| Self::Io { what: what.clone(), source }
    }
}
