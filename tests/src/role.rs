//! The two long-lived processes of the product.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::{Process, poll::soon, processes};

/// Which of the product's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `sentinal serve`.
    Serve,
    /// `sentinal node`, all processes of it.
    Node,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Serve, Self::Node];

    /// The subcommand.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Node => "node",
        }
    }

    /// Whether `process` is of this role, on that data folder.
    pub fn is(self, process: &Process, data_dir: &Path) -> bool {
        let subcommand = process.args.get(1).is_some_and(|word| word == self.as_str());
        let program = process.program().starts_with("sentinal") || process.program() == "exe";
        program && subcommand && process.names(&data_dir.to_string_lossy())
    }

    /// Every process of this role on that data folder; zombies are no processes any more.
    pub fn running(self, data_dir: &Path) -> Vec<Process> {
        processes().into_iter().filter(|process| process.state != 'Z' && self.is(process, data_dir)).collect()
    }

    /// SIGKILL to the process that the node's keeper has to start again. Succeeds where none runs.
    pub fn kill_worker(data_dir: &Path) -> Result<()> {
        let workers = Self::Node.running(data_dir);
        let mut workers = workers.iter().filter(|process| process.args.iter().any(|arg| arg == "--worker"));
        workers.try_for_each(|process| process.kill(Signal::KILL))
    }

    /// SIGTERM to the process of this role that was started first, as an operator would.
    pub fn stop(self, data_dir: &Path) -> Result<()> {
        let running = self.running(data_dir);
        let first = running.iter().find(|process| !running.iter().any(|other| other.pid == process.parent));
        first.context("no such process runs")?.kill(Signal::TERM)
    }

    /// SIGKILL to every process of this role; answers how many when none is left. They are stopped first, so that no
    /// one of them can start another meanwhile.
    pub async fn kill(self, data_dir: &Path) -> Result<usize> {
        let mut killed = 0;
        for signal in [Signal::STOP, Signal::KILL] {
            let running = self.running(data_dir);
            killed = running.len().max(killed);
            running.iter().try_for_each(|process| process.kill(signal))?;
        }
        soon("the end of killed processes", Duration::from_secs(10), || {
            let left = self.running(data_dir);
            left.iter().try_for_each(|process| process.kill(Signal::KILL))?;
            ensure!(left.is_empty(), "{} is still there", left[0]);
            Ok(())
        })
        .await?;
        Ok(killed)
    }
}
