//! From a request to an execution.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::{fs::OFlags, pipe::PipeFlags};
use sentinal_agent_protocol::v1::ExecuteRequest;
use tokio::time::Instant;
use tonic::Status;

use super::{Execution, Stream, output, stdin, supervise::Supervisor};
use crate::{
    heart::Beat,
    idle::Use,
    spawn::{NotStarted, Spawner, Stdio},
};

/// What an execution holds while its process runs.
pub(crate) struct Watched {
    /// The sandbox is in use.
    _used: Use,
    /// How long it stood still meanwhile.
    beat: Beat,
}

impl Watched {
    pub(crate) const fn new(used: Use, beat: Beat) -> Self {
        Self { _used: used, beat }
    }

    pub(super) const fn beat(&self) -> &Beat {
        &self.beat
    }
}

/// Starts the program, and lets go of `watched` when its process has ended. One that cannot be executed is an execution
/// too: it has ended.
pub(crate) fn launch(
    spawner: &Spawner,
    mut request: ExecuteRequest,
    watched: Watched,
) -> Result<Arc<Execution>, Status> {
    let started = Instant::now();
    let first = std::mem::take(&mut request.stdin);
    let pipes = Pipes::open(!first.is_empty() || request.stdin_open).map_err(|error| out_of(&error))?;
    let pid = match spawner.spawn(&request, &pipes.theirs()) {
        Ok(pid) => pid,
        Err(NotStarted::Ended { exit_code, line }) => {
            return Ok(Arc::new(Execution::stillborn(started, exit_code, &line)));
        }
        Err(NotStarted::Refused(status)) => return Err(status),
    };
    let queue = match pipes.stdin {
        Some(_) => stdin::Queue::new(first, request.stdin_open),
        None => stdin::Queue::closed(),
    };
    let execution = Arc::new(Execution::new(pid, started, queue));
    let supervisor = Supervisor::new(Arc::clone(&execution), pipes.ours(), request.timeout_ms);
    tokio::spawn(supervisor.run(watched));
    Ok(execution)
}

/// Our ends of the program's streams.
pub(super) struct Ours {
    pub(super) stdin: Option<stdin::Pipe>,
    pub(super) stdout: output::Pipe,
    pub(super) stderr: output::Pipe,
}

struct Pipes {
    /// Theirs and ours.
    stdin: Option<(OwnedFd, stdin::Pipe)>,
    stdout: (OwnedFd, output::Pipe),
    stderr: (OwnedFd, output::Pipe),
}

impl Pipes {
    fn open(with_stdin: bool) -> io::Result<Self> {
        Ok(Self {
            stdin: if with_stdin { Some(input()?) } else { None },
            stdout: output(Stream::Stdout)?,
            stderr: output(Stream::Stderr)?,
        })
    }

    fn theirs(&self) -> Stdio<'_> {
        Stdio {
            stdin: self.stdin.as_ref().map(|(theirs, _)| theirs.as_fd()),
            stdout: self.stdout.0.as_fd(),
            stderr: self.stderr.0.as_fd(),
        }
    }

    /// Closes theirs, so that the end of the program's output is seen.
    fn ours(self) -> Ours {
        Ours { stdin: self.stdin.map(|(_, ours)| ours), stdout: self.stdout.1, stderr: self.stderr.1 }
    }
}

fn input() -> io::Result<(OwnedFd, stdin::Pipe)> {
    let (theirs, ours) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&ours, OFlags::WRONLY | OFlags::NONBLOCK)?;
    Ok((theirs, stdin::Pipe::Unwatched(ours)))
}

fn output(stream: Stream) -> io::Result<(OwnedFd, output::Pipe)> {
    let (ours, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // Ours only: programs do not expect streams that do not block.
    rustix::fs::fcntl_setfl(&ours, OFlags::RDONLY | OFlags::NONBLOCK)?;
    Ok((theirs, output::Pipe::new(stream, ours)?))
}

fn out_of(error: &io::Error) -> Status {
    Status::resource_exhausted(format!("no pipe for the program's streams: {error}"))
}
