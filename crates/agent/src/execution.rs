//! One execution: a program, what it wrote and was given, and how it ended. It lives on without a connection.

mod follow;
mod frames;
mod held;
mod kernel;
mod launch;
mod output;
mod results;
mod session;
mod stdin;
mod supervise;
mod terminal;
mod timeout;

use std::{
    os::fd::OwnedFd,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use rustix::process::Signal;
use sentinal_agent_protocol::v1::{self, OutputStream};
use tokio::{sync::Notify, time::Instant};
use tonic::Status;

pub(crate) use self::{
    follow::Follower,
    kernel::Kernel,
    launch::{Watched, launch},
};
use self::{follow::Watchers, held::Held, results::Results, stdin::Queue};
use crate::sys::{How, Reaped};

/// A program's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Shared by the supervisor of its process and by those who ask about it, all on one thread.
pub(crate) struct Execution {
    pid: i32,
    started: Instant,
    state: Mutex<State>,
    /// Standard input moved: there is room, or it is all given.
    stdin_moved: Notify,
}

#[derive(Default)]
struct State {
    stdout: Held,
    stderr: Held,
    stdin: Queue,
    process: Process,
    /// It is code that waits for its turn in a context.
    waits: bool,
    results: Results,
    /// For its size. The program is told that it is gone when nobody holds it.
    terminal: Option<OwnedFd>,
    is_timed_out: bool,
    /// Process ended and output complete.
    ended: Option<v1::Ended>,
    watchers: Watchers,
    supervisor: Option<Waker>,
}

#[derive(Default)]
enum Process {
    #[default]
    Running,
    Ended {
        how: How,
        duration_us: u64,
        cpu_us: u64,
        memory_peak_bytes: u64,
    },
}

impl Execution {
    /// One whose process is about to run, or has just started to.
    fn new(pid: i32, started: Instant, stdin: Queue) -> Self {
        let state = State { stdin, ..State::default() };
        Self { pid, started, state: Mutex::new(state), stdin_moved: Notify::new() }
    }

    /// The same, as code in a context before its turn.
    fn waiting(self) -> Self {
        self.state().waits = true;
        self
    }

    /// The same, on a terminal.
    fn on_terminal(self, terminal: Option<OwnedFd>) -> Self {
        self.state().terminal = terminal;
        self
    }

    /// One whose program could not be executed: that is its result.
    fn stillborn(started: Instant, exit_code: i32, (stream, line): (Stream, &str)) -> Self {
        let execution = Self::new(0, started, Queue::closed());
        let mut state = execution.state();
        state.held(stream).push(line.as_bytes());
        state.process = Process::Ended {
            how: How::Exited(exit_code),
            duration_us: micros(started.elapsed()),
            cpu_us: 0,
            memory_peak_bytes: 0,
        };
        state.end();
        drop(state);
        execution
    }

    /// The process, which leads a process group and a session of its own. 0: there never was one.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// The process has been reaped; output may still be on its way.
    pub(crate) fn is_over(&self) -> bool {
        self.state().is_over()
    }

    /// Its result is complete.
    pub(crate) fn has_ended(&self) -> bool {
        self.state().ended.is_some()
    }

    pub(crate) fn describe(&self, id: &str) -> v1::Execution {
        let state = self.state();
        v1::Execution {
            execution_id: id.to_owned(),
            ended: state.ended.is_some(),
            stdout_bytes: state.stdout.end(),
            stderr_bytes: state.stderr.end(),
        }
    }

    /// The reaper's news.
    pub(crate) fn process_ended(&self, reaped: &Reaped) {
        let mut state = self.state();
        state.process = Process::Ended {
            how: reaped.how,
            duration_us: micros(self.started.elapsed()),
            cpu_us: micros(reaped.cpu),
            memory_peak_bytes: reaped.memory_peak_bytes,
        };
        state.terminal = None;
        state.wake_supervisor();
    }

    /// Output up to here is safe elsewhere.
    pub(crate) fn acknowledge(&self, stdout: u64, stderr: u64) {
        let mut state = self.state();
        state.stdout.acknowledge(stdout);
        state.stderr.acknowledge(stderr);
        state.wake_supervisor();
    }

    /// To the process group.
    pub(crate) fn signal(&self, number: i32) -> Result<(), Status> {
        let signal = Signal::from_named_raw(number)
            .ok_or_else(|| Status::invalid_argument(format!("{number} is not the number of a signal")))?;
        if self.is_over() {
            return Err(Status::failed_precondition("the process has ended"));
        }
        if self.state().waits {
            return Err(Status::failed_precondition("the code waits for its turn in its context"));
        }
        session::signal_group(self.pid, signal);
        Ok(())
    }

    /// The process group, and whatever else is in the session.
    pub(crate) fn kill(&self) {
        // Once reaped, the number may be somebody else's.
        if !self.is_over() {
            session::kill(self.pid);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_over(&self) -> bool {
        matches!(self.process, Process::Ended { .. })
    }

    fn held(&mut self, stream: Stream) -> &mut Held {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn push(&mut self, stream: Stream, bytes: &[u8]) {
        self.held(stream).push(bytes);
        self.watchers.wake();
    }

    /// All output is here: the result stands.
    fn end(&mut self) {
        let Process::Ended { how, duration_us, cpu_us, memory_peak_bytes } = self.process else { return };
        let how = match how {
            _ if self.is_timed_out => v1::ended::How::TimedOut(true),
            How::Exited(code) => v1::ended::How::ExitCode(code),
            How::Signaled(signal) => v1::ended::How::Signal(signal),
        };
        let (results, results_truncated) = self.results.take();
        self.ended = Some(v1::Ended {
            how: Some(how),
            duration_us,
            cpu_us,
            memory_peak_bytes,
            stdout_bytes: self.stdout.end(),
            stderr_bytes: self.stderr.end(),
            results,
            results_truncated,
        });
        self.watchers.wake();
    }

    fn wake_supervisor(&self) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.wake_by_ref();
        }
    }
}

impl From<Stream> for OutputStream {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Stdout => Self::Stdout,
            Stream::Stderr => Self::Stderr,
        }
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
