//! An idle timeout: the controller, the node's own timer, the agent's own watch.

use std::time::Duration;

use anyhow::{Result, ensure};
use sentinal_tests::{Fact, Guest, NewExecution, Options, Role, Server};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{endless, ends_by_itself, is_recorded_as, of_sandbox, one_is_ready, pool, server};

/// Longer than all graces after an idle timeout of two seconds.
const LONG: Duration = Duration::from_secs(20);

async fn soon_idle(server: &Server) -> Result<Guest> {
    Guest::of(server, json!({"ttl": 600, "idle_timeout": 2})).await
}

#[tokio::test]
async fn a_sandbox_that_nobody_uses_ends_while_everything_is_alive() -> Fact {
    let Some(server) = server("idle-alive").await? else { return Ok(()) };
    let guest = soon_idle(&server).await?;
    ends_by_itself(&server, &guest).await?;
    is_recorded_as(&server, &guest, "stopped", "idle").await
}

#[tokio::test]
async fn a_sandbox_that_somebody_uses_does_not_end() -> Fact {
    let Some(server) = server("idle-used").await? else { return Ok(()) };
    let guest = soon_idle(&server).await?;
    let slept = guest.shell("sleep 15; echo slept").await?.ok()?;
    ensure!(slept == "slept\n", "{slept:?}");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        guest.client().upload(guest.id(), "file", "content").await?.expect(200)?;
        sleep(Duration::from_millis(200)).await;
        guest.client().download(guest.id(), "file").await?.expect(200)?;
    }
    // Whoever watches uses it, too.
    let watch = guest.files(http::Method::GET, "/watch", ".", "").events().await?;
    sleep(LONG).await;
    drop(watch);
    guest.works().await?;
    ends_by_itself(&server, &guest).await?;
    is_recorded_as(&server, &guest, "stopped", "idle").await
}

#[tokio::test]
async fn looking_at_a_sandbox_is_no_use_of_it() -> Fact {
    let Some(server) = server("idle-watched").await? else { return Ok(()) };
    let guest = soon_idle(&server).await?;
    let begun = Instant::now();
    while begun.elapsed() < LONG && guest.client().sandbox(guest.id()).await?.state == "running" {
        sleep(Duration::from_millis(100)).await;
    }
    is_recorded_as(&server, &guest, "stopped", "idle").await
}

#[tokio::test]
async fn an_idle_sandbox_ends_while_the_server_is_dead() -> Fact {
    let Some(server) = server("idle-node").await? else { return Ok(()) };
    let guest = soon_idle(&server).await?;
    server.kill(Role::Serve).await?;
    ends_by_itself(&server, &guest).await?;
    server.launch(Role::Serve)?;
    is_recorded_as(&server, &guest, "stopped", "idle").await
}

#[tokio::test]
async fn an_idle_sandbox_ends_while_server_and_node_are_dead() -> Fact {
    let Some(server) = server("idle-agent").await? else { return Ok(()) };
    let guest = soon_idle(&server).await?;
    server.kill(Role::Serve).await?;
    server.kill(Role::Node).await?;
    ends_by_itself(&server, &guest).await?;
    server.launch(Role::Node)?;
    server.launch(Role::Serve)?;
    is_recorded_as(&server, &guest, "stopped", "idle").await
}

#[tokio::test]
async fn an_execution_that_runs_keeps_its_sandbox_while_the_server_is_dead() -> Fact {
    let Some(server) = server("idle-executes").await? else { return Ok(()) };
    let guest = soon_idle(&server).await?;
    let long = NewExecution::shell("sleep 22; echo slept").within(guest.id());
    let execution = guest.client().execute_in_background(long).await?;
    // The server's word reaches the node beside the execute, not before it.
    sleep(Duration::from_millis(500)).await;
    server.kill(Role::Serve).await?;
    sleep(LONG).await;
    ensure!(!of_sandbox(&server, guest.id()).is_empty(), "ended under an execution");
    server.launch(Role::Serve)?;
    server.healthy().await?;
    let path = format!("/execution/{}/output?stream=stdout&follow=true", execution.id);
    let said = guest.client().get(&path).send().await?.expect(200)?;
    ensure!(said.text().contains("slept"), "{}", said.text());
    ends_by_itself(&server, &guest).await?;
    is_recorded_as(&server, &guest, "stopped", "idle").await
}

#[tokio::test]
async fn an_idle_sandbox_that_is_gone_is_not_found() -> Fact {
    let Some(server) = server("idle-gone").await? else { return Ok(()) };
    let guest = soon_idle(&server).await?;
    ends_by_itself(&server, &guest).await?;
    let late = endless(60).within(guest.id());
    guest.client().post("/execute").json(late.as_json()).send().await?.refused(404, "not_found")?;
    is_recorded_as(&server, &guest, "stopped", "idle").await
}

/// One from a pool had no idle timeout before it was claimed.
#[tokio::test]
async fn a_claimed_sandbox_that_nobody_uses_ends_while_server_and_node_are_dead() -> Fact {
    let options = Options { serve: pool(), ..Options::default() };
    let Some(server) = Server::start("idle-pool", options).await? else { return Ok(()) };
    one_is_ready(&server).await?;
    let guest = Guest::of(&server, json!({"ttl": 600, "idle_timeout": 2})).await?;
    ensure!(guest.sandbox().engine_reason.as_deref().is_some_and(|reason| reason.contains("warm pool")));
    server.kill(Role::Serve).await?;
    server.kill(Role::Node).await?;
    ends_by_itself(&server, &guest).await?;
    server.launch(Role::Node)?;
    server.launch_with(Role::Serve, &[])?;
    server.healthy().await?;
    server.clean().await
}
