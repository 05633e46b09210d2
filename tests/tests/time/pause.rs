//! Pause and resume: nothing is lost, nothing goes on meanwhile, and the ttl does.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Answer, Fact, Guest, NewExecution, Role, Sandbox, Server, eventually};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{END_DEADLINE, ends_by_itself, is_recorded_as, server};

async fn turn(guest: &Guest, verb: &str) -> Result<Answer> {
    guest.client().post(&format!("/sandbox/{}/{verb}", guest.id())).send().await
}

async fn turned(guest: &Guest, verb: &str) -> Result<Sandbox> {
    turn(guest, verb).await?.expect(200)?.json()
}

/// Pauses it, and again, which changes nothing.
async fn pause(guest: &Guest) -> Result<()> {
    for _ in 0..2 {
        let sandbox = turned(guest, "pause").await?;
        ensure!(sandbox.state == "paused", "{sandbox:?}");
    }
    Ok(())
}

async fn resume(guest: &Guest) -> Result<()> {
    for _ in 0..2 {
        let sandbox = turned(guest, "resume").await?;
        ensure!(sandbox.state == "running", "{sandbox:?}");
    }
    guest.works().await
}

async fn guest(server: &Server) -> Result<Guest> {
    Guest::of(server, json!({"ttl": 600})).await
}

/// A program that counts, ten times a second.
async fn counting(guest: &Guest) -> Result<()> {
    let count = NewExecution::shell("n=0; while sleep 0.1; do n=$((n+1)); echo $n > new; mv new count; done");
    guest.client().execute_in_background(count.within(guest.id()).with("timeout", 500)).await?;
    eventually("a first count", END_DEADLINE, || async { counted(guest).await.map(drop) }).await
}

async fn counted(guest: &Guest) -> Result<u64> {
    let count = guest.client().download(guest.id(), "count").await?.expect(200)?;
    count.text().trim().parse().context("a count")
}

#[tokio::test]
async fn a_paused_sandbox_stands_still_and_goes_on_where_it_was() -> Fact {
    let Some(server) = server("pause").await? else { return Ok(()) };
    let guest = guest(&server).await?;
    counting(&guest).await?;
    let before = counted(&guest).await?;
    let since = Instant::now();
    pause(&guest).await?;
    let execute = NewExecution::shell("true").within(guest.id());
    let refused = guest.client().post("/execute").json(execute.as_json()).send().await?.refused(409, "conflict")?;
    ensure!(refused.detail.contains("/resume"), "{}", refused.detail);
    guest.client().upload(guest.id(), "file", "content").await?.refused(409, "conflict")?;
    guest.client().download(guest.id(), "count").await?.refused(409, "conflict")?;
    ensure!(guest.client().sandbox(guest.id()).await?.state == "paused", "it is shown as paused");
    sleep(Duration::from_secs(10)).await;
    resume(&guest).await?;
    let (after, most) = (counted(&guest).await?, since.elapsed().saturating_sub(Duration::from_secs(9)));
    ensure!(before <= after && u128::from(after - before) <= most.as_millis() / 100, "{before} {after} in {most:?}");
    eventually("more counts", END_DEADLINE, || async {
        ensure!(after < counted(&guest).await?, "it does not go on");
        Ok(())
    })
    .await?;
    guest.gone().await?;
    server.clean().await
}

#[tokio::test]
async fn a_pause_takes_nothing_from_the_time_of_an_execution() -> Fact {
    let Some(server) = server("pause-timeout").await? else { return Ok(()) };
    let guest = guest(&server).await?;
    let long = NewExecution::shell("sleep 4; echo done").within(guest.id()).with("timeout", 10);
    let execution = guest.client().execute_in_background(long).await?;
    pause(&guest).await?;
    sleep(Duration::from_secs(20)).await;
    ensure!(guest.client().execution(&execution.id).await?.state == "running", "it ended while it was paused");
    resume(&guest).await?;
    let ended = || async {
        let execution = guest.client().execution(&execution.id).await?;
        ensure!(execution.state == "finished", "it still runs");
        Ok(execution)
    };
    let ended = eventually("the end of an execution", END_DEADLINE, ended).await?;
    ensure!(ended.outcome.as_deref() == Some("exited") && ended.exit_code == Some(0), "{ended:?}");
    guest.gone().await?;
    server.clean().await
}

#[tokio::test]
async fn a_paused_sandbox_can_be_destroyed() -> Fact {
    let Some(server) = server("pause-destroy").await? else { return Ok(()) };
    let guest = guest(&server).await?;
    counting(&guest).await?;
    pause(&guest).await?;
    guest.gone().await?;
    server.clean().await
}

#[tokio::test]
async fn a_paused_sandbox_expires() -> Fact {
    let Some(server) = server("pause-ttl").await? else { return Ok(()) };
    let guest = Guest::of(&server, json!({"ttl": 8})).await?;
    pause(&guest).await?;
    ends_by_itself(&server, &guest).await?;
    is_recorded_as(&server, &guest, "stopped", "expired").await
}

#[tokio::test]
async fn a_paused_sandbox_is_not_idle() -> Fact {
    let Some(server) = server("pause-idle").await? else { return Ok(()) };
    let guest = Guest::of(&server, json!({"ttl": 600, "idle_timeout": 3})).await?;
    pause(&guest).await?;
    sleep(Duration::from_secs(18)).await;
    ensure!(guest.client().sandbox(guest.id()).await?.state == "paused", "it ended while it was paused");
    resume(&guest).await?;
    ends_by_itself(&server, &guest).await?;
    is_recorded_as(&server, &guest, "stopped", "idle").await
}

#[tokio::test]
async fn a_paused_sandbox_stays_paused_over_restarts() -> Fact {
    let Some(server) = server("pause-restart").await? else { return Ok(()) };
    let guest = guest(&server).await?;
    counting(&guest).await?;
    pause(&guest).await?;
    for role in [Role::Serve, Role::Node] {
        server.kill(role).await?;
        server.launch(role)?;
        server.healthy().await?;
        ensure!(guest.client().sandbox(guest.id()).await?.state == "paused", "after the restart of {role:?}");
    }
    resume(&guest).await?;
    let before = counted(&guest).await?;
    eventually("more counts", END_DEADLINE, || async {
        ensure!(before < counted(&guest).await?, "it does not go on");
        Ok(())
    })
    .await?;
    guest.gone().await?;
    server.clean().await
}

#[tokio::test]
async fn what_cannot_be_paused_is_told_why() -> Fact {
    let Some(server) = server("pause-refused").await? else { return Ok(()) };
    let guest = guest(&server).await?;
    let path = format!("/sandbox/{}/pause", guest.id());
    let post = async |body: Value| guest.client().post(&path).json(&body).send().await;
    post(json!({"keep": "disk"})).await?.refused(501, "not_supported")?;
    post(json!({"keep": "nothing"})).await?.refused(400, "invalid_request")?;
    post(json!({"keeps": "memory"})).await?.refused(400, "invalid_request")?;
    post(json!({"keep": "memory"})).await?.expect(200)?;
    resume(&guest).await?;
    let client = server.client()?;
    let unknown = format!("/sandbox/sbx_{}/pause", "0".repeat(32));
    client.post(&unknown).send().await?.refused(404, "not_found")?;
    let (path, place) = (path.clone(), guest.id().to_owned());
    guest.gone().await?;
    client.post(&path).send().await?.refused(404, "not_found")?;
    ensure!(client.sandbox(&place).await?.state == "stopped", "its record stays");
    server.clean().await
}
