//! Pause and resume: nothing runs meanwhile, nothing is lost, and what is paused can still be ended.

use std::time::Duration;

use anyhow::{Result, ensure};
use sentinal_tests::{Execution, Fact, Ground, Guest, NewExecution, eventually};
use serde_json::json;
use tokio::time::sleep;

use crate::table::{Row, light};

pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(a_paused_sandbox_stands_still_and_goes_on),
        light(pausing_and_resuming_twice_changes_nothing),
        light(a_paused_sandbox_can_be_halted),
        light(a_paused_sandbox_ends_at_its_ttl),
    ]
}

pub(crate) async fn pause(guest: &Guest) -> Result<()> {
    guest.pause().await?.expect(200)?;
    guest.becomes("paused", DEADLINE).await.map(drop)
}

pub(crate) async fn resume(guest: &Guest) -> Result<()> {
    guest.resume().await?.expect(200)?;
    guest.becomes("running", DEADLINE).await.map(drop)
}

/// A program that counts, and what it has counted to as the server knows it.
pub(crate) async fn counting(guest: &Guest) -> Result<Execution> {
    let count = NewExecution::code("bash", "i=0; while [ ! -e stop ]; do echo $((i += 1)); sleep 0.1; done");
    let started = guest.client().execute_in_background(count.within(guest.id()).with("timeout", 280)).await?;
    counts_beyond(guest, &started, 0).await?;
    Ok(started)
}

async fn counted(guest: &Guest, counting: &Execution) -> Result<usize> {
    Ok(guest.client().output(&counting.id, "stdout", 0).await?.split(|byte| *byte == b'\n').count() - 1)
}

pub(crate) async fn counts_beyond(guest: &Guest, counting: &Execution, before: usize) -> Result<()> {
    let more = || async {
        let now = counted(guest, counting).await?;
        ensure!(before < now, "it stands still at {now}");
        Ok(())
    };
    eventually("a program that counts", DEADLINE, more).await
}

async fn a_paused_sandbox_stands_still_and_goes_on(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let counting = counting(&guest).await?;
    let who = guest.shell("echo kept > /dev/shm/kept; cat /dev/shm/kept; hostname").await?.ok()?;
    pause(&guest).await?;
    // What was on its way when it was paused may still arrive; after that nothing may.
    let still = || async {
        let before = counted(&guest, &counting).await?;
        sleep(Duration::from_secs(1)).await;
        let after = counted(&guest, &counting).await?;
        ensure!(before == after, "it counted from {before} to {after}");
        Ok(after)
    };
    let still = eventually("a sandbox that stands still", DEADLINE, still).await?;
    let late = NewExecution::shell("echo late").within(guest.id()).with("wait", 0);
    let late = guest.client().post("/execute").json(late.as_json()).send().await?;
    late.refused(409, "conflict")?;
    resume(&guest).await?;
    counts_beyond(&guest, &counting, still).await?;
    let now = guest.shell("cat /dev/shm/kept; hostname").await?.ok()?;
    ensure!(who == now, "it is another sandbox: {who:?} and {now:?}");
    guest.shell("touch stop").await?.ok()?;
    let lines = guest.end_of(&counting.id, DEADLINE).await?.ok()?;
    let in_order = lines.lines().enumerate().all(|(index, line)| line == (index + 1).to_string());
    ensure!(in_order, "a hole or a repetition in {lines:?}");
    guest.gone().await
}

async fn pausing_and_resuming_twice_changes_nothing(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    for _ in 0..2 {
        pause(&guest).await?;
        let again = guest.pause().await?;
        ensure!([200, 409].contains(&again.status), "{}: {}", again.status, again.text());
        resume(&guest).await?;
        let again = guest.resume().await?;
        ensure!([200, 409].contains(&again.status), "{}: {}", again.status, again.text());
        guest.works().await?;
    }
    guest.gone().await
}

async fn a_paused_sandbox_can_be_halted(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let counting = counting(&guest).await?;
    pause(&guest).await?;
    let client = guest.client().clone();
    guest.gone().await?;
    let ended = client.execution(&counting.id).await?;
    ensure!(ended.state == "finished" && ended.outcome.as_deref() == Some("killed"), "{ended:?}");
    Ok(())
}

async fn a_paused_sandbox_ends_at_its_ttl(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"ttl": 12})).await?;
    pause(&guest).await?;
    let sandbox = guest.becomes("stopped", DEADLINE).await?;
    ensure!(sandbox.outcome.as_deref() == Some("expired"), "{sandbox:?}");
    guest.clean().await
}
