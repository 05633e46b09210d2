//! When the agent ends a sandbox that nobody uses.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::limits;

/// Who uses the sandbox, and since when nobody does. Monotonic, as [`crate::deadline::Deadline`].
#[derive(Clone)]
pub(crate) struct Idle(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    /// `None`: it may be idle for ever.
    timeout: Option<Duration>,
    uses: usize,
    since: Instant,
}

/// An execution that runs, a file on its way. The sandbox is in use while it lives.
pub(crate) struct Use(Arc<Shared>);

impl Idle {
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        let state = State { timeout, uses: 0, since: Instant::now() };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }))
    }

    /// The sandbox is in use until the answer is dropped.
    pub(crate) fn begin(&self) -> Use {
        self.0.change(|state| state.uses += 1);
        Use(Arc::clone(&self.0))
    }

    /// Replaces the timeout and counts anew.
    pub(crate) fn set(&self, timeout: Option<Duration>) {
        self.0.change(|state| (state.timeout, state.since) = (timeout, Instant::now()));
    }

    /// Waits until nobody has used the sandbox for as long as it may be idle, and a while longer. That while begins
    /// when this task has seen the first part pass: one that was frozen or had no cpu until now gives the server time
    /// to say something.
    pub(crate) async fn passed(&self) {
        loop {
            if self.or_changed(State::ends_at).await && self.or_changed(|_| Some(confirmed_at())).await {
                return;
            }
        }
    }

    /// Waits for that moment; `false` if something changed before.
    async fn or_changed(&self, at: impl FnOnce(&State) -> Option<Instant>) -> bool {
        let changed = self.0.changed.notified();
        let mut changed = std::pin::pin!(changed);
        changed.as_mut().enable();
        let at = at(&self.0.state());
        tokio::select! {
            biased;
            () = &mut changed => false,
            () = reached(at) => true,
        }
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// `None`: not as long as nothing changes.
    fn ends_at(&self) -> Option<Instant> {
        if self.uses == 0 { self.since.checked_add(self.timeout?) } else { None }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.uses -= 1;
            state.since = Instant::now();
        });
    }
}

fn confirmed_at() -> Instant {
    Instant::now() + limits::IDLE_CONFIRMATION
}

async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn check<F: Future>(test: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
    }

    async fn ends_after(idle: &Idle, expected: Duration) {
        let began = Instant::now();
        idle.passed().await;
        let took = began.elapsed();
        assert!(expected <= took && took < expected + Duration::from_millis(100), "{took:?}, not {expected:?}");
    }

    #[test]
    fn it_ends_when_nobody_has_used_it_for_so_long() {
        check(ends_after(&Idle::new(Some(TIMEOUT)), TIMEOUT + limits::IDLE_CONFIRMATION));
    }

    #[test]
    fn idle_time_begins_with_the_end_of_the_last_use() {
        check(async {
            let idle = Idle::new(Some(TIMEOUT));
            let uses = [idle.begin(), idle.begin()];
            let end = async {
                for one in uses {
                    sleep(10 * TIMEOUT).await;
                    drop(one);
                }
            };
            tokio::join!(end, ends_after(&idle, 21 * TIMEOUT + limits::IDLE_CONFIRMATION));
        });
    }

    #[test]
    fn a_use_in_the_very_last_moment_counts() {
        check(async {
            let idle = Idle::new(Some(TIMEOUT));
            let last = (TIMEOUT + limits::IDLE_CONFIRMATION).saturating_sub(Duration::from_millis(1));
            let touch = async {
                sleep(last).await;
                drop(idle.begin());
            };
            tokio::join!(touch, ends_after(&idle, last + TIMEOUT + limits::IDLE_CONFIRMATION));
        });
    }

    #[test]
    fn a_timeout_may_be_set_later_and_taken_away() {
        check(async {
            let idle = Idle::new(Some(TIMEOUT));
            idle.set(None);
            let set = async {
                sleep(10 * TIMEOUT).await;
                idle.set(Some(TIMEOUT / 2));
            };
            tokio::join!(set, ends_after(&idle, 10 * TIMEOUT + TIMEOUT / 2 + limits::IDLE_CONFIRMATION));
        });
    }
}
