//! The keeper: a single-threaded parent of the worker that does almost nothing, so that it does not fail.
//!
//! Detached engine processes whose parents have ended become its children, since it is a child subreaper; it
//! collects them when they end, so that they do not stay as zombies on machines whose first process collects
//! nobody. A worker that was killed or crashed is started again; one that ended by itself ends the keeper with
//! the same status. When the keeper is killed the worker goes on without it.

mod restart;
mod signals;

use std::{
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Command, ExitStatus},
    time::Instant,
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait},
};

use restart::{Backoff, Next, after_exit};
use signals::{Signals, Wake};

/// Why a worker could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The kernel refused something that is needed first.
    #[error("cannot {what}")]
    Setup {
        /// What.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The worker's program cannot be started.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Runs the worker until it ends by itself or after a signal to end (SIGTERM, SIGINT), and answers its
/// status. To be called before any thread is started; takes over waiting for all children of the process.
pub fn keep(worker: Command) -> Result<ExitStatus, KeeperError> {
    let setup = |what| move |source: io::Error| KeeperError::Setup { what, source };
    set_child_subreaper(Some(getpid())).map_err(|error| setup("become a subreaper")(error.into()))?;
    let signals = Signals::new().map_err(setup("receive signals"))?;
    let mut keeper = Keeper { worker, stopping: None, backoff: Backoff::default() };
    loop {
        if let Some(status) = keeper.run_worker(&signals)? {
            return Ok(status);
        }
        if let Some(status) = keeper.pause(&signals) {
            return Ok(status);
        }
    }
}

#[derive(Debug)]
struct Keeper {
    worker: Command,
    /// The signal that we were told to end with.
    stopping: Option<Signal>,
    backoff: Backoff,
}

impl Keeper {
    /// Starts the worker and waits for its end. Answers its status if that is the end of the keeper too.
    fn run_worker(&mut self, signals: &Signals) -> Result<Option<ExitStatus>, KeeperError> {
        let began = Instant::now();
        let pid = self.start()?;
        loop {
            match signals.wait(None) {
                Wake::Stop(signal) => {
                    self.stopping = Some(signal);
                    // It may have ended just now.
                    let _ = kill_process(pid, signal);
                }
                Wake::Child | Wake::Timeout => {}
            }
            // Whatever woke us: a signal that came between two looks is not lost this way.
            let Some(status) = reap(Some(pid)) else { continue };
            return Ok(match after_exit(status, self.stopping.is_some()) {
                Next::End => Some(status),
                Next::Restart => {
                    self.backoff.ran_for(began.elapsed());
                    None
                }
            });
        }
    }

    /// In a process group of its own: an interrupt from the terminal comes to the keeper alone, which
    /// forwards it once.
    fn start(&mut self) -> Result<Pid, KeeperError> {
        let program = self.worker.get_program().to_string_lossy().into_owned();
        let child = self.worker.process_group(0).spawn();
        let child = child.map_err(|source| KeeperError::Start { program, source })?;
        tracing::debug!(pid = child.id(), "worker started");
        // Not dropped with a wait: `reap` collects it like everybody else.
        Ok(Pid::from_child(&child))
    }

    /// Waits before the next start, collecting children all the while. Answers a status if told to end.
    fn pause(&mut self, signals: &Signals) -> Option<ExitStatus> {
        let pause = self.backoff.next();
        tracing::error!(restart_ms = pause.as_millis(), "worker died; it is started again");
        let until = Instant::now() + pause;
        loop {
            let left = until.checked_duration_since(Instant::now())?;
            match signals.wait(Some(left)) {
                Wake::Stop(signal) => return Some(ExitStatus::from_raw(signal.as_raw())),
                Wake::Timeout => return None,
                Wake::Child => drop(reap(None)),
            }
        }
    }
}

/// Collects every child that has ended. Answers the status of `worker` if it was among them.
fn reap(worker: Option<Pid>) -> Option<ExitStatus> {
    let mut found = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if Some(pid) == worker => found = Some(ExitStatus::from_raw(status.as_raw())),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return found,
        }
    }
}

#[cfg(test)]
mod tests;
