//! Whether and when a worker is started again.

use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A worker that ran for so long was well: the next pause is the shortest again.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// What a Rust program exits with after a panic.
const EXIT_PANIC: i32 = 101;

/// What follows the end of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Restart,
    End,
}

/// A worker that says why it ends is believed; one that was killed or crashed is needed again, unless the
/// end was wanted.
pub(super) fn after_exit(status: ExitStatus, stopping: bool) -> Next {
    let died = status.signal().is_some() || status.code() == Some(EXIT_PANIC);
    if died && !stopping { Next::Restart } else { Next::End }
}

/// How long to wait before the next start.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { pause: PAUSE_MIN }
    }
}

impl Backoff {
    /// The worker lived for that long.
    pub(super) fn ran_for(&mut self, lived: Duration) {
        if WELL_AFTER <= lived {
            self.pause = PAUSE_MIN;
        }
    }

    /// The pause that is due; the one after it is twice as long.
    pub(super) fn next(&mut self) -> Duration {
        let due = self.pause;
        self.pause = (due * 2).min(PAUSE_MAX);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: i32, stopping: bool, expected: Next) {
        assert_eq!(after_exit(ExitStatus::from_raw(raw), stopping), expected, "{raw} {stopping}");
    }

    #[test]
    fn only_a_worker_that_died_unasked_is_started_again() {
        check(9, false, Next::Restart);
        check(6 | 0x80, false, Next::Restart);
        check(101 << 8, false, Next::Restart);
        check(0, false, Next::End);
        check(1 << 8, false, Next::End);
        check(9, true, Next::End);
        check(15, true, Next::End);
        check(0, true, Next::End);
    }

    #[test]
    fn pauses_double_up_to_a_limit_until_a_worker_lived() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..8).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.ran_for(Duration::from_secs(59));
        assert_eq!(backoff.next(), PAUSE_MAX);
        backoff.ran_for(WELL_AFTER);
        assert_eq!(backoff.next(), PAUSE_MIN);
    }
}
