//! One program in a sandbox: what is started, and how it ended.

use std::time::Duration;

use crate::ContextId;

/// What an execution runs. Validated against [`crate::limits`] where it is made from a caller's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments; never empty. The program is looked up in `PATH` when it has no slash. In a context: the
    /// code, and nothing else.
    pub argv: Vec<String>,
    /// Added to the sandbox's environment.
    pub env: Vec<(String, String)>,
    /// Working directory; `None` is the user's home.
    pub cwd: Option<crate::GuestPath>,
    /// A user name or number known inside; `None` is the sandbox's ordinary user (uid 1000).
    pub user: Option<String>,
    /// Standard input, whole, or its beginning where it stays open; empty and not open means end of file at once.
    pub stdin: Vec<u8>,
    /// Whether more standard input may be sent while it runs.
    pub stdin_open: bool,
    /// How long it may run.
    pub timeout: Duration,
    /// It runs on a terminal of its own: all it writes is standard output, and standard input stays open.
    pub terminal: Option<TerminalSize>,
    /// The context whose program runs it; `None` is a program of its own.
    pub context: Option<ContextId>,
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// How many stand in a row; at least 1.
    pub columns: u16,
    /// How many rows there are; at least 1.
    pub rows: u16,
}

/// Which part of a program's standard input is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StdinPart {
    /// Of the first byte, counted from the first one that was ever sent; `None` is after the last one. Bytes that the
    /// program has been given already are not given to it again.
    pub offset: Option<u64>,
    /// Whether nothing follows.
    pub end: bool,
}

/// One of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both streams.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// The stream as callers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// How an execution ended. A result, never an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExecutionOutcome {
    /// By itself, with this exit code. 127: no such program; 126: it may not be executed.
    Exited(i32),
    /// By this signal, which nobody outside sent.
    Signaled(i32),
    /// Its timeout ran out.
    Timeout,
    /// It, or the sandbox with it, was lost to the memory limit.
    Oom,
    /// Its sandbox was destroyed, expired or lost while it ran.
    Killed,
}

impl ExecutionOutcome {
    /// What [`Self::as_str`] answers, for each.
    pub const NAMES: [&'static str; 5] = ["exited", "signaled", "timeout", "oom", "killed"];

    /// The outcome as callers see it, without its number.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exited(_) => "exited",
            Self::Signaled(_) => "signaled",
            Self::Timeout => "timeout",
            Self::Oom => "oom",
            Self::Killed => "killed",
        }
    }

    /// The exit code, where there is one.
    pub const fn exit_code(self) -> Option<i32> {
        match self {
            Self::Exited(code) => Some(code),
            Self::Signaled(_) | Self::Timeout | Self::Oom | Self::Killed => None,
        }
    }

    /// The signal, where there is one.
    pub const fn signal(self) -> Option<i32> {
        match self {
            Self::Signaled(signal) => Some(signal),
            Self::Exited(_) | Self::Timeout | Self::Oom | Self::Killed => None,
        }
    }

    /// The outcome from its stored parts.
    pub fn from_stored(name: &str, exit_code: Option<i32>, signal: Option<i32>) -> Option<Self> {
        match name {
            "exited" => exit_code.map(Self::Exited),
            "signaled" => signal.map(Self::Signaled),
            "timeout" => Some(Self::Timeout),
            "oom" => Some(Self::Oom),
            "killed" => Some(Self::Killed),
            _ => None,
        }
    }
}

/// What code in a context made beside its output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Results {
    /// Each is the text of a JSON object.
    pub items: Vec<String>,
    /// Whether there were more.
    pub is_truncated: bool,
}

/// What an execution used, as the agent reports it: advisory, since the agent is the guest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// User and system time, in microseconds.
    pub cpu_us: u64,
    /// Largest resident set of one process, in bytes.
    pub memory_peak_bytes: u64,
}

/// The end of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub outcome: ExecutionOutcome,
    /// From start to end, in microseconds.
    pub duration_us: u64,
    /// What it used.
    pub usage: Usage,
}
