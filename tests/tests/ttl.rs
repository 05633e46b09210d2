//! A ttl has three enforcers - the controller, the node's own timer, the agent's deadline - and none of them needs the
//! others alive.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Fact, Guest, NewExecution, Options, Process, Role, Server, eventually, processes, soon};
use serde_json::json;

/// A ttl, the longest grace after it, and a halt on a busy machine.
const END_DEADLINE: Duration = Duration::from_mins(1);

async fn server(name: &str) -> Result<Option<Server>> {
    Server::start(name, Options::default()).await
}

/// A sandbox that lives for a few seconds, with a program in it that would run for longer.
async fn short_lived(server: &Server) -> Result<Guest> {
    let guest = Guest::of(server, json!({"ttl": 5})).await?;
    let sleep = NewExecution::shell("sleep 600").within(guest.id()).with("timeout", 600);
    guest.client().execute_in_background(sleep).await?;
    Ok(guest)
}

/// Processes of the sandbox itself; the product's own do not count.
fn of_sandbox(server: &Server, id: &str) -> Vec<Process> {
    let ours = |process: &Process| Role::ALL.iter().any(|role| role.is(process, server.place().data_dir()));
    processes().into_iter().filter(|process| process.names(id) && process.state != 'Z' && !ours(process)).collect()
}

async fn ends_by_itself(server: &Server, guest: &Guest) -> Result<()> {
    ensure!(!of_sandbox(server, guest.id()).is_empty(), "a running sandbox has no process that carries its id");
    soon("the end of a sandbox past its ttl", END_DEADLINE, || {
        let left = of_sandbox(server, guest.id());
        ensure!(left.is_empty(), "{} is still there", left[0]);
        Ok(())
    })
    .await
    .with_context(|| server.place().log_tails())
}

/// Once both are up again, the record says what happened and nothing is left.
async fn is_recorded_as_expired(server: &Server, guest: &Guest) -> Result<()> {
    server.healthy().await?;
    let stopped = || async {
        let sandbox = guest.client().sandbox(guest.id()).await?;
        ensure!(sandbox.state == "stopped", "still {}", sandbox.state);
        Ok(sandbox)
    };
    let sandbox = eventually("a stopped sandbox", END_DEADLINE, stopped).await?;
    ensure!(sandbox.outcome.as_deref() == Some("expired"), "{sandbox:?}");
    guest.client().destroy(guest.id()).await?.refused(404, "not_found")?;
    server.clean().await
}

#[tokio::test]
async fn a_sandbox_expires_while_everything_is_alive() -> Fact {
    let Some(server) = server("ttl-alive").await? else { return Ok(()) };
    let guest = short_lived(&server).await?;
    ends_by_itself(&server, &guest).await?;
    is_recorded_as_expired(&server, &guest).await
}

#[tokio::test]
async fn a_sandbox_expires_while_the_server_is_dead() -> Fact {
    let Some(server) = server("ttl-node").await? else { return Ok(()) };
    let guest = short_lived(&server).await?;
    server.kill(Role::Serve).await?;
    ends_by_itself(&server, &guest).await?;
    server.launch(Role::Serve)?;
    is_recorded_as_expired(&server, &guest).await
}

#[tokio::test]
async fn a_sandbox_expires_while_server_and_node_are_dead() -> Fact {
    let Some(server) = server("ttl-agent").await? else { return Ok(()) };
    let guest = short_lived(&server).await?;
    server.kill(Role::Serve).await?;
    server.kill(Role::Node).await?;
    ends_by_itself(&server, &guest).await?;
    server.launch(Role::Node)?;
    server.launch(Role::Serve)?;
    is_recorded_as_expired(&server, &guest).await
}
