//! An execution's timeout: the agent, and the controller when the agent does not.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use sentinal_tests::{Execution, Fact, Guest, NewExecution, Role, Server, eventually};
use serde_json::json;
use tokio::time::sleep;

use super::{END_DEADLINE, endless, is_recorded_as, of_sandbox, server};

/// How many processes of the endless program there are.
const COUNT: &str =
    "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done 2>/dev/null | grep -c '^[s]leep 600'";

async fn end_of(guest: &Guest, execution: &Execution) -> Result<Execution> {
    let ended = || async {
        let execution = guest.client().execution(&execution.id).await?;
        ensure!(execution.state == "finished", "it still runs");
        Ok(execution)
    };
    eventually("the end of an execution", END_DEADLINE, ended).await
}

async fn background(server: &Server, new: NewExecution) -> Result<(Guest, Execution)> {
    let guest = Guest::of(server, json!({"ttl": 600})).await?;
    let execution = guest.client().execute_in_background(new.within(guest.id())).await?;
    Ok((guest, execution))
}

#[tokio::test]
async fn a_timeout_that_passes_while_the_server_is_dead_ends_the_execution() -> Fact {
    let Some(server) = server("timeout-serve").await? else { return Ok(()) };
    let (guest, execution) = background(&server, endless(4)).await?;
    server.kill(Role::Serve).await?;
    sleep(Duration::from_secs(10)).await;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    let ended = end_of(&guest, &execution).await?;
    ensure!(ended.outcome.as_deref() == Some("timeout"), "{ended:?}");
    let left = guest.shell(COUNT).await?;
    ensure!(left.stdout.as_deref() == Some("0\n"), "{left:?}");
    guest.gone().await?;
    server.clean().await
}

#[tokio::test]
async fn a_result_is_kept_for_a_server_that_comes_back_after_the_timeout() -> Fact {
    let Some(server) = server("timeout-result").await? else { return Ok(()) };
    let (guest, execution) = background(&server, NewExecution::shell("sleep 1; echo done").with("timeout", 2)).await?;
    server.kill(Role::Serve).await?;
    sleep(Duration::from_secs(10)).await;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    let ended = end_of(&guest, &execution).await?;
    ensure!(ended.outcome.as_deref() == Some("exited") && ended.exit_code == Some(0), "{ended:?}");
    guest.gone().await?;
    server.clean().await
}

#[tokio::test]
async fn a_sandbox_whose_agent_leaves_an_execution_alive_is_ended() -> Fact {
    let Some(server) = server("timeout-agent").await? else { return Ok(()) };
    let (guest, execution) = background(&server, endless(3)).await?;
    of_sandbox(&server, guest.id()).iter().try_for_each(|process| process.kill(Signal::STOP))?;
    let ended = end_of(&guest, &execution).await.with_context(|| server.place().log_tails())?;
    ensure!(ended.outcome.as_deref() == Some("timeout"), "{ended:?}");
    is_recorded_as(&server, &guest, "failed", "agent_silent").await
}
