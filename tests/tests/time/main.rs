//! Time limits - ttl, idle timeout, execution timeout, pauses - and those who enforce them. None of the enforcers needs the
//! others alive.

mod idle;
mod pause;
mod timeout;
mod ttl;

use std::{ffi::OsString, time::Duration};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Guest, NewExecution, Options, Process, Role, Server, commands, eventually, processes, soon};

/// A limit, the longest grace after it, and a halt on a busy machine.
const END_DEADLINE: Duration = Duration::from_mins(1);

async fn server(name: &str) -> Result<Option<Server>> {
    Server::start(name, Options::default()).await
}

/// A program that would run for longer than everything else here, and how long it may.
fn endless(timeout: u32) -> NewExecution {
    NewExecution::shell("sleep 600").with("timeout", timeout)
}

/// Processes of the sandbox itself; the product's own do not count.
fn of_sandbox(server: &Server, id: &str) -> Vec<Process> {
    let ours = |process: &Process| Role::ALL.iter().any(|role| role.is(process, server.place().data_dir()));
    processes().into_iter().filter(|process| process.names(id) && process.state != 'Z' && !ours(process)).collect()
}

async fn ends_by_itself(server: &Server, guest: &Guest) -> Result<()> {
    ensure!(!of_sandbox(server, guest.id()).is_empty(), "a running sandbox has no process that carries its id");
    soon("the end of a sandbox", END_DEADLINE, || {
        let left = of_sandbox(server, guest.id());
        ensure!(left.is_empty(), "{} is still there", left[0]);
        Ok(())
    })
    .await
    .with_context(|| server.place().log_tails())
}

/// Once both are up again, the record says what happened and nothing is left.
async fn is_recorded_as(server: &Server, guest: &Guest, state: &str, outcome: &str) -> Result<()> {
    server.healthy().await?;
    let ended = || async {
        let sandbox = guest.client().sandbox(guest.id()).await?;
        ensure!(sandbox.state == state, "still {}", sandbox.state);
        Ok(sandbox)
    };
    let sandbox = eventually("a sandbox that has ended", END_DEADLINE, ended).await?;
    ensure!(sandbox.outcome.as_deref() == Some(outcome), "{sandbox:?}");
    guest.client().destroy(guest.id()).await?.refused(404, "not_found")?;
    server.clean().await
}

/// A claimed sandbox is its owner's first, and the node learns of its other end right after that.
async fn node_knows_the_end(server: &Server, id: &str) -> Result<()> {
    let path = server.place().state_dir().join("instances").join(id).join("record.json");
    soon("a node that knows the end", END_DEADLINE, || {
        let written = std::fs::metadata(&path)?.modified()?.duration_since(std::time::UNIX_EPOCH)?;
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        let expires_at = Duration::from_millis(record["expires_at_ms"].as_u64().context("an end")?);
        ensure!(expires_at < written + Duration::from_mins(1), "it has {expires_at:?}, written at {written:?}");
        Ok(())
    })
    .await
}

/// A pool of what [`Guest::of`] asks for.
fn pool() -> Vec<OsString> {
    commands::pool("engine=gvisor,memory=256Mi,size=1").into()
}

async fn one_is_ready(server: &Server) -> Result<()> {
    let client = server.client()?;
    let look = || async {
        let ready = client.metric("sentinal_pool_sandboxes{engine=\"gvisor\",state=\"ready\"}").await?;
        ensure!(ready == 1, "{ready} are ready");
        Ok(())
    };
    eventually("a pooled sandbox", END_DEADLINE, look).await.with_context(|| server.place().log_tails())
}
