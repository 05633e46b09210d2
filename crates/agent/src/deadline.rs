//! When the agent ends the sandbox by itself.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};

/// A point in time that may move. Monotonic: the wall clock of a sandbox is not to be trusted.
pub(crate) struct Deadline(watch::Sender<Option<Instant>>);

impl Deadline {
    pub(crate) fn new(at: Option<Instant>) -> Self {
        Self(watch::Sender::new(at))
    }

    /// Replaces the one before. What lies beyond all clocks is never.
    pub(crate) fn set(&self, remaining: Duration) {
        self.0.send_replace(Instant::now().checked_add(remaining));
    }

    /// Waits until it has passed.
    pub(crate) async fn passed(&self) {
        let mut moved = self.0.subscribe();
        loop {
            let at = *moved.borrow_and_update();
            tokio::select! {
                () = reached(at) => return,
                // Cannot fail: the sender is ours.
                _ = moved.changed() => {}
            }
        }
    }
}

async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_deadline_may_be_set_later_and_sooner() {
        block_on(async {
            let deadline = Deadline::new(None);
            let passed = deadline.passed();
            tokio::pin!(passed);
            assert!(futures::poll!(&mut passed).is_pending());
            deadline.set(Duration::from_secs(3600));
            assert!(futures::poll!(&mut passed).is_pending());
            deadline.set(Duration::ZERO);
            passed.await;
        });
    }

    #[test]
    fn a_deadline_beyond_all_clocks_is_never() {
        let deadline = Deadline::new(None);
        deadline.set(Duration::MAX);
        assert_eq!(*deadline.0.borrow(), None);
    }
}
