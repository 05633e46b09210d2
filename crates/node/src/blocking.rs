//! What blocks goes to threads that may.

use std::io;

use futures::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use tokio::sync::oneshot;

use crate::Blocking;

/// The runtime's threads for such things.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Threads;

impl Blocking for Threads {
    fn run(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, io::Result<()>> {
        tokio::task::spawn_blocking(job).map_err(io::Error::other).boxed()
    }
}

/// Runs `job` where it may block, and answers what came of it.
pub(crate) async fn answer<T, F>(blocking: &dyn Blocking, job: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    let job = move || {
        // Nobody may be waiting any more.
        let _ = answer.send(job());
    };
    blocking.run(Box::new(job)).await?;
    answered.await.map_err(io::Error::other)
}
