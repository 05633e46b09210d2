//! Notices when the whole sandbox stood still, as while it is paused: time that nobody could use is not taken from
//! an execution's timeout.
//!
//! While somebody needs to know, a task looks at the clock again and again. When far more time has passed than it
//! slept for, nothing ran in between. A pause that is shorter than that cannot be told from a busy machine.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::limits;

#[derive(Clone)]
pub(crate) struct Heart(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    needed: Notify,
}

struct State {
    users: usize,
    seen_at: Instant,
    stood_still: Duration,
}

/// Somebody who needs to know how long the sandbox stood still.
pub(crate) struct Beat {
    heart: Heart,
    before: Duration,
}

impl Heart {
    pub(crate) fn new() -> Self {
        let state = State { users: 0, seen_at: Instant::now(), stood_still: Duration::ZERO };
        Self(Arc::new(Shared { state: Mutex::new(state), needed: Notify::new() }))
    }

    /// Counts from now on, until the answer is dropped.
    pub(crate) fn begin(&self) -> Beat {
        let mut state = self.state();
        if state.users == 0 {
            state.seen_at = Instant::now();
            self.0.needed.notify_one();
        }
        state.users += 1;
        Beat { heart: self.clone(), before: state.look() }
    }

    /// Looks at the clock as long as anybody needs it. Never ends.
    pub(crate) async fn beat(self) {
        loop {
            if self.state().users == 0 {
                self.0.needed.notified().await;
            }
            sleep(limits::HEARTBEAT).await;
            self.state().look();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How long it stood still in all.
    fn look(&mut self) -> Duration {
        let since = self.seen_at.elapsed();
        self.seen_at = Instant::now();
        if limits::HEARTBEAT_LATE < since {
            self.stood_still += since.saturating_sub(limits::HEARTBEAT);
        }
        self.stood_still
    }
}

impl Beat {
    /// How long the sandbox has stood still since this began.
    pub(crate) fn stood_still(&self) -> Duration {
        self.heart.state().look().saturating_sub(self.before)
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.heart.state().users -= 1;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn check<F: Future>(test: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
    }

    #[test]
    fn a_sandbox_that_goes_on_never_stood_still() {
        check(async {
            let heart = Heart::new();
            tokio::spawn(heart.clone().beat());
            let beat = heart.begin();
            for _ in 0..100 {
                sleep(limits::HEARTBEAT / 3).await;
                assert_eq!(beat.stood_still(), Duration::ZERO);
            }
        });
    }

    #[test]
    fn what_nobody_could_use_is_counted_for_those_who_were_there() {
        check(async {
            let heart = Heart::new();
            tokio::spawn(heart.clone().beat());
            advance(Duration::from_secs(1000)).await;
            let early = heart.begin();
            sleep(Duration::from_secs(5)).await;
            advance(Duration::from_secs(600)).await;
            let late = heart.begin();
            sleep(Duration::from_secs(5)).await;
            let stood_still = early.stood_still();
            assert!(stood_still.abs_diff(Duration::from_secs(600)) <= limits::HEARTBEAT, "{stood_still:?}");
            assert_eq!(late.stood_still(), Duration::ZERO);
        });
    }

    #[test]
    fn nobody_beats_for_nobody() {
        check(async {
            let heart = Heart::new();
            tokio::spawn(heart.clone().beat());
            drop(heart.begin());
            advance(Duration::from_secs(600)).await;
            let beat = heart.begin();
            sleep(Duration::from_secs(5)).await;
            assert_eq!(beat.stood_still(), Duration::ZERO);
        });
    }
}
