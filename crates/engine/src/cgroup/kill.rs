//! Ending everything in a cgroup.

use std::{collections::BTreeSet, fs, time::Duration};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};

use super::Cgroup;
use crate::EngineError;

/// First pause between two rounds; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_micros(500);
const PAUSE_MAX: Duration = Duration::from_millis(20);

impl Cgroup {
    /// The processes in it now, in any hierarchy.
    pub fn processes(&self) -> BTreeSet<i32> {
        let files = self.entrances().into_iter().filter_map(|path| fs::read_to_string(path).ok());
        files.flat_map(|text| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<i32>>()).collect()
    }

    /// Kills everything in it and returns when it is empty, or fails at the deadline.
    pub async fn kill(&self, deadline: Duration) -> Result<(), EngineError> {
        let end = Instant::now() + deadline;
        let mut pause = PAUSE_MIN;
        while !self.kill_round() {
            if end <= Instant::now() {
                return Err(EngineError::Deadline { what: "the end of the sandbox's processes".to_owned(), deadline });
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    /// Answers whether there was nothing to kill.
    fn kill_round(&self) -> bool {
        let found = self.processes();
        let held = found.iter().filter_map(|number| {
            let pid = Pid::from_raw(*number)?;
            Some((*number, pidfd_open(pid, PidfdFlags::empty()).ok()?))
        });
        let held: Vec<_> = held.collect();
        // A number may have passed to a stranger before we held it; whoever is still in the cgroup now is
        // the one that is held.
        let still = self.processes();
        for (_, process) in held.iter().filter(|(number, _)| still.contains(number)) {
            // Not an error: it may have ended by itself.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        self.thaw_the_killed();
        found.is_empty()
    }
}
