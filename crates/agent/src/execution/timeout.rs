//! How long an execution may run, without the time for which its sandbox stood still.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::heart::Beat;

/// None: there is no limit, or it was told that it has passed.
pub(super) struct Timeout(Option<Limit>);

struct Limit {
    /// If the sandbox never stands still.
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Timeout {
    /// 0: none.
    pub(super) fn new(started: Instant, timeout_ms: u64) -> Self {
        let timeout = Duration::from_millis(timeout_ms);
        let at = if timeout.is_zero() { None } else { started.checked_add(timeout) };
        Self(at.map(|at| Limit { at, sleep: Box::pin(sleep_until(at)) }))
    }

    /// Ready once: it has passed.
    pub(super) fn poll_passed(&mut self, cx: &mut Context<'_>, beat: &Beat) -> Poll<()> {
        while let Some(limit) = &mut self.0 {
            ready!(limit.sleep.as_mut().poll(cx));
            let at = limit.at.checked_add(beat.stood_still());
            let Some(later) = at.filter(|at| Instant::now() < *at) else {
                self.0 = None;
                return Poll::Ready(());
            };
            limit.sleep.as_mut().reset(later);
        }
        Poll::Pending
    }
}
