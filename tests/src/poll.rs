//! Waiting for something that happens, with a deadline: the only kind of waiting in these tests.

use std::{future::Future, time::Duration};

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

const STEP_FIRST: Duration = Duration::from_millis(5);
const STEP_MAX: Duration = Duration::from_millis(200);

/// Asks until the answer is `Ok`, and answers the last refusal when the deadline has passed.
pub async fn eventually<T, F>(what: &str, deadline: Duration, mut ask: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let end = Instant::now() + deadline;
    let mut step = STEP_FIRST;
    loop {
        let refusal = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(refusal) => refusal,
        };
        if Instant::now() + step >= end {
            bail!("{what}: not within {} s: {refusal:#}", deadline.as_secs());
        }
        sleep(step).await;
        step = (step * 3 / 2).min(STEP_MAX);
    }
}

/// The same for a condition that needs no waiting itself.
pub async fn soon<T>(what: &str, deadline: Duration, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    eventually(what, deadline, || std::future::ready(ask())).await
}
