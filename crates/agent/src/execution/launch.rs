//! From a request to an execution.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::{fs::OFlags, pipe::PipeFlags, termios::Winsize};
use sentinal_agent_protocol::v1::ExecuteRequest;
use tokio::time::Instant;
use tonic::Status;

use super::{
    Execution, Stream, output, stdin,
    supervise::Supervisor,
    terminal::{self, Terminal},
};
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
    let size = request.terminal.map(terminal::winsize).transpose()?;
    let first = std::mem::take(&mut request.stdin);
    let is_open = request.stdin_open || size.is_some();
    let streams = match size {
        Some(size) => Streams::on_terminal(size),
        None => Streams::on_pipes(!first.is_empty() || is_open),
    };
    let streams = streams.map_err(|error| out_of(&error))?;
    let pid = match spawner.spawn(&request, &streams.theirs.stdio()) {
        Ok(pid) => pid,
        Err(NotStarted::Ended { exit_code, line }) => {
            let told = streams.theirs.told(line);
            return Ok(Arc::new(Execution::stillborn(started, exit_code, (told.0, &told.1))));
        }
        Err(NotStarted::Refused(status)) => return Err(status),
    };
    let queue = match streams.ours.stdin {
        Some(_) => stdin::Queue::new(first, is_open),
        None => stdin::Queue::closed(),
    };
    let execution = Arc::new(Execution::new(pid, started, queue).on_terminal(streams.terminal));
    // Theirs is closed with this, so that the end of the program's output is seen.
    drop(streams.theirs);
    let supervisor = Supervisor::new(Arc::clone(&execution), streams.ours, request.timeout_ms);
    tokio::spawn(supervisor.run(watched));
    Ok(execution)
}

/// Our ends of the program's streams.
pub(super) struct Ours {
    pub(super) stdin: Option<stdin::Pipe>,
    pub(super) stdout: output::Pipe,
    pub(super) stderr: output::Pipe,
}

/// The program's ends.
enum Theirs {
    Pipes { stdin: Option<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd },
    Terminal(OwnedFd),
}

struct Streams {
    theirs: Theirs,
    ours: Ours,
    /// For its size.
    terminal: Option<OwnedFd>,
}

impl Streams {
    fn on_pipes(with_stdin: bool) -> io::Result<Self> {
        let (stdin, given) = if with_stdin { Some(input()?) } else { None }.unzip();
        let (stdout, written) = output(Stream::Stdout)?;
        let (stderr, complained) = output(Stream::Stderr)?;
        Ok(Self {
            theirs: Theirs::Pipes { stdin, stdout, stderr },
            ours: Ours { stdin: given, stdout: written, stderr: complained },
            terminal: None,
        })
    }

    fn on_terminal(size: Winsize) -> io::Result<Self> {
        let Terminal { theirs, ours } = Terminal::open(size)?;
        let terminal = ours.try_clone()?;
        Ok(Self {
            theirs: Theirs::Terminal(theirs),
            ours: Ours {
                stdin: Some(stdin::Pipe::Unwatched(ours.try_clone()?)),
                stdout: output::Pipe::new(Stream::Stdout, ours)?,
                stderr: output::Pipe::none(Stream::Stderr),
            },
            terminal: Some(terminal),
        })
    }
}

impl Theirs {
    fn stdio(&self) -> Stdio<'_> {
        match self {
            Self::Pipes { stdin, stdout, stderr } => Stdio {
                stdin: stdin.as_ref().map(OwnedFd::as_fd),
                stdout: stdout.as_fd(),
                stderr: stderr.as_fd(),
                is_terminal: false,
            },
            Self::Terminal(terminal) => Stdio {
                stdin: Some(terminal.as_fd()),
                stdout: terminal.as_fd(),
                stderr: terminal.as_fd(),
                is_terminal: true,
            },
        }
    }

    /// Where a line of ours goes that takes the place of the program's own output, and how.
    fn told(&self, line: String) -> (Stream, String) {
        match self {
            Self::Pipes { .. } => (Stream::Stderr, line),
            Self::Terminal(_) => (Stream::Stdout, line.replace('\n', "\r\n")),
        }
    }
}

fn input() -> io::Result<(OwnedFd, stdin::Pipe)> {
    let (theirs, ours) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&ours, OFlags::WRONLY | OFlags::NONBLOCK)?;
    Ok((theirs, stdin::Pipe::Unwatched(ours)))
}

pub(super) fn output(stream: Stream) -> io::Result<(OwnedFd, output::Pipe)> {
    let (ours, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // Ours only: programs do not expect streams that do not block.
    rustix::fs::fcntl_setfl(&ours, OFlags::RDONLY | OFlags::NONBLOCK)?;
    Ok((theirs, output::Pipe::new(stream, ours)?))
}

pub(super) fn out_of(error: &io::Error) -> Status {
    Status::resource_exhausted(format!("no pipe or terminal for the program's streams: {error}"))
}
