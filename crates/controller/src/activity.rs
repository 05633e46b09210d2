//! Who uses a sandbox at the moment: what its idle timeout counts from.
//!
//! Moments are the runtime's, not the wall clock's, which may step. A server that begins anew counts anew.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::entry::Entry;

/// The uses of one sandbox.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<State>,
    /// Counts how often the last use ended.
    rests: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// How long it may be idle; `None`: until its ttl.
    timeout: Option<Duration>,
    /// Up to when each may last.
    uses: BTreeMap<u64, Instant>,
    begun: u64,
    used_at: Instant,
    /// It is being ended for want of use: nobody may use it any more.
    closed: bool,
    told: Told,
}

/// What the node was told of the use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing, or nobody knows whether it arrived.
    Nothing,
    /// Somebody is telling it.
    Telling,
    /// That it is in use until then.
    Until(Instant),
    /// That it is not in use.
    Resting,
}

/// An execution or a file on its way. The sandbox is in use while it lives.
#[derive(Debug)]
pub(crate) struct Use {
    entry: Arc<Entry>,
    number: u64,
}

impl Activity {
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        let (uses, used_at) = (BTreeMap::new(), Instant::now());
        let state = State { timeout, uses, begun: 0, used_at, closed: false, told: Told::Nothing };
        Self { state: Mutex::new(state), rests: watch::Sender::new(0) }
    }

    /// From now on it may be idle for so long.
    pub(crate) fn begin_anew(&self, timeout: Option<Duration>) {
        let mut state = self.state();
        state.timeout = timeout;
        state.used_at = Instant::now();
    }

    /// Its idle time begins now.
    pub(crate) fn touch(&self) {
        self.state().used_at = Instant::now();
    }

    /// How long until its idle timeout runs out; `None` while it is in use, or may be idle.
    pub(crate) fn idle_in(&self) -> Option<Duration> {
        let state = self.state();
        if state.uses.is_empty() { Some(state.timeout?.saturating_sub(state.used_at.elapsed())) } else { None }
    }

    /// Whenever the last use of one that may not be idle ends, from now on.
    pub(crate) fn rests(&self) -> watch::Receiver<u64> {
        self.rests.subscribe()
    }

    /// Lets nobody use it any more, if its idle timeout has run out.
    pub(crate) fn close_if_idle(&self) -> bool {
        let mut state = self.state();
        let idle = state.timeout.is_some_and(|timeout| timeout <= state.used_at.elapsed());
        state.closed |= idle && state.uses.is_empty();
        state.closed
    }

    /// What `news` makes of the uses and of what the node knows; then the caller is the one who tells it.
    pub(crate) fn telling<N>(&self, news: impl FnOnce(Option<Instant>, Instant, Told) -> Option<N>) -> Option<N> {
        let mut state = self.state();
        let news = news(state.uses.values().max().copied(), state.used_at, state.told)?;
        state.told = Told::Telling;
        Some(news)
    }

    /// The node may not go by what it was told any more: it measures by the wall clock after a start, and that may have
    /// been set meanwhile.
    pub(crate) fn tell_again(&self) {
        let mut state = self.state();
        if matches!(state.told, Told::Until(_)) {
            state.told = Told::Nothing;
        }
    }

    /// What became of it.
    pub(crate) fn told(&self, told: Told) {
        self.state().told = told;
    }

    fn begin(&self, until: Instant) -> Option<u64> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        state.begun += 1;
        let number = state.begun;
        state.uses.insert(number, until);
        Some(number)
    }

    fn end(&self, number: u64) {
        let mut state = self.state();
        state.uses.remove(&number);
        state.used_at = Instant::now();
        let rests = state.uses.is_empty() && state.timeout.is_some();
        drop(state);
        if rests {
            self.rests.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Use {
    /// Begins a use that lasts for `at_most`, as far as one can know; `None` when the sandbox is being ended for want
    /// of use.
    pub(crate) fn begin(entry: &Arc<Entry>, at_most: Duration) -> Option<Self> {
        let number = entry.activity().begin(Instant::now() + at_most)?;
        Some(Self { entry: Arc::clone(entry), number })
    }

    /// What is used.
    pub(crate) const fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.entry.activity().end(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn idle_time_begins_when_the_last_use_ends() {
        let activity = Activity::new(Some(TIMEOUT));
        let uses = [1, 2].map(|seconds| activity.begin(Instant::now() + Duration::from_secs(seconds)).unwrap());
        tokio::time::advance(TIMEOUT * 2).await;
        activity.end(uses[0]);
        assert_eq!(activity.idle_in(), None, "a use that lasts longer than was known is one all the same");
        assert!(!activity.close_if_idle());
        let rests = activity.rests();
        activity.end(uses[1]);
        assert!(rests.has_changed().unwrap());
        assert_eq!(activity.idle_in(), Some(TIMEOUT));
        tokio::time::advance(TIMEOUT).await;
        assert_eq!(activity.idle_in(), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_use_comes_before_the_end_or_not_at_all() {
        let activity = Activity::new(Some(TIMEOUT));
        tokio::time::advance(TIMEOUT).await;
        activity.touch();
        assert!(!activity.close_if_idle());
        tokio::time::advance(TIMEOUT).await;
        let number = activity.begin(Instant::now()).unwrap();
        assert!(!activity.close_if_idle());
        activity.end(number);
        tokio::time::advance(TIMEOUT).await;
        assert!(activity.close_if_idle());
        assert_eq!(activity.begin(Instant::now()), None);
        assert!(activity.close_if_idle());
    }
}
