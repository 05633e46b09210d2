//! The program of a context: it runs one piece of code after the other, and each is an execution of its own.

mod task;

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use rustix::net;
use sentinal_agent_protocol::v1::{ExecuteRequest, OpenContextRequest};
use tokio::{io::Interest, time::Instant};
use tonic::Status;

use self::task::Task;
use super::{
    Execution, Watched,
    launch::{self, out_of},
    session,
    stdin::Queue,
    timeout::Timeout,
};
use crate::{
    limits,
    spawn::{NotStarted, Spawner, Stdio},
    sys::{How, Reaped, watch},
};

/// Shared by the task that drives it and by those who have something for it to do, all on one thread.
pub(crate) struct Kernel {
    pid: i32,
    language: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Piece>,
    is_busy: bool,
    /// Its process has been reaped.
    over: Option<How>,
    task: Option<Waker>,
}

/// A piece of code that waits, or runs.
struct Piece {
    execution: Arc<Execution>,
    code: Vec<u8>,
    timeout: Timeout,
    watched: Watched,
}

impl Kernel {
    /// Starts the program.
    pub(crate) fn open(spawner: &Spawner, request: OpenContextRequest) -> Result<Arc<Self>, Status> {
        let (theirs, ours) = sockets().map_err(|error| out_of(&error))?;
        let (stdout, written) = launch::output(super::Stream::Stdout).map_err(|error| out_of(&error))?;
        let (stderr, complained) = launch::output(super::Stream::Stderr).map_err(|error| out_of(&error))?;
        let stdio =
            Stdio { stdin: Some(theirs.as_fd()), stdout: stdout.as_fd(), stderr: stderr.as_fd(), is_terminal: false };
        let pid = spawner.spawn(&program(&request), &stdio).map_err(|error| match error {
            NotStarted::Refused(status) => status,
            NotStarted::Ended { line, .. } => {
                let language = &request.language;
                Status::failed_precondition(format!("{language} cannot be started here: {}", line.trim_end()))
            }
        })?;
        let kernel = Arc::new(Self { pid, language: request.language, state: Mutex::default() });
        let socket = watch(ours, Interest::READABLE | Interest::WRITABLE).map_err(|error| out_of(&error))?;
        let task = Task::new(Arc::clone(&kernel), socket, [written, complained]);
        tokio::spawn(task.run());
        Ok(kernel)
    }

    pub(crate) const fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn language(&self) -> &str {
        &self.language
    }

    /// Pieces that run or wait.
    pub(crate) fn pieces(&self) -> usize {
        let state = self.state();
        state.waiting.len() + usize::from(state.is_busy)
    }

    /// Runs code after what was given before; its timeout counts from now.
    pub(crate) fn run(&self, request: ExecuteRequest, watched: Watched) -> Result<Arc<Execution>, Status> {
        let mut state = self.state();
        if state.over.is_some() {
            return Err(Status::not_found("the context has ended"));
        }
        if limits::CONTEXT_QUEUE_MAX <= state.waiting.len() {
            let most = limits::CONTEXT_QUEUE_MAX;
            return Err(Status::resource_exhausted(format!("{most} pieces of code wait in this context already")));
        }
        let started = Instant::now();
        let execution = Arc::new(Execution::new(self.pid, started, Queue::closed()).waiting());
        let timeout = Timeout::new(started, request.timeout_ms);
        state.waiting.push_back(Piece { execution: Arc::clone(&execution), code: request.code, timeout, watched });
        state.wake();
        Ok(execution)
    }

    /// The reaper's news.
    pub(crate) fn process_ended(&self, reaped: &Reaped) {
        let mut state = self.state();
        state.over = Some(reaped.how);
        state.wake();
    }

    /// All that it runs ends with it.
    pub(crate) fn kill(&self) {
        // Once reaped, the number may be somebody else's.
        if self.state().over.is_none() {
            session::kill(self.pid);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }
}

fn program(request: &OpenContextRequest) -> ExecuteRequest {
    ExecuteRequest {
        argv: request.argv.clone(),
        env: request.env.clone(),
        cwd: request.cwd.clone(),
        user: request.user.clone(),
        processes_max: request.processes_max,
        open_files_max: request.open_files_max,
        ..ExecuteRequest::default()
    }
}

/// Theirs blocks, ours does not.
fn sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    let (theirs, ours) =
        net::socketpair(net::AddressFamily::UNIX, net::SocketType::STREAM, net::SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((theirs, ours))
}
