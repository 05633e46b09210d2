//! What dies without having been asked to: the sandbox's processes, killed from outside or from inside.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use sentinal_tests::{Column, Execution, Fact, Ground, Guest, NewExecution, Process};
use serde_json::json;

use crate::table::{Row, light};

const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(an_engine_s_process_that_is_killed_ends_the_sandbox),
        light(an_agent_that_is_killed_ends_the_sandbox),
        light(a_sandbox_all_of_which_is_killed_leaves_nothing),
        light(what_root_inside_kills_is_its_own_alone),
    ]
}

/// A sandbox with a program that would run for long.
pub(crate) async fn busy(guest: &Guest) -> Result<Execution> {
    let sleep = NewExecution::shell("echo begun; sleep 7205").within(guest.id()).with("timeout", 280);
    guest.client().execute_in_background(sleep).await
}

/// SIGKILL to what everything else of the sandbox descends from.
pub(crate) fn kill_engine(guest: &Guest) -> Result<()> {
    let all = guest.host_processes();
    let is_first = |process: &&Process| !all.iter().any(|other| other.pid == process.parent);
    ensure!(!all.is_empty(), "a running sandbox has no process on the host");
    all.iter().filter(is_first).try_for_each(|process| process.kill(Signal::KILL))
}

/// gVisor's agent is no process of the host: `runsc` is asked to kill it.
fn kill_agent(guest: &Guest, column: Column) -> Result<()> {
    match column {
        Column::Native => {
            let all = guest.host_processes();
            let agent = all.iter().find(|process| process.args.first().is_some_and(|name| name == "/.sentinal/agent"));
            agent.with_context(|| format!("no agent among {all:?}"))?.kill(Signal::KILL)
        }
        Column::Gvisor => {
            let root = guest.place().state_dir().join("gvisor").join(guest.id()).join("runsc");
            let mut runsc = Command::new("runsc");
            let killed = runsc.arg("--root").arg(root).args(["kill", guest.id(), "KILL"]).output()?;
            ensure!(killed.status.success(), "{}", String::from_utf8_lossy(&killed.stderr));
            Ok(())
        }
    }
}

/// The sandbox has failed, its program was killed with it, and nothing is left.
pub(crate) async fn is_over(guest: &Guest, execution: &Execution) -> Fact {
    let sandbox = guest.becomes("failed", DEADLINE).await?;
    ensure!(sandbox.outcome.as_deref() == Some("engine_exited"), "{sandbox:?}");
    let ended = guest.client().execution(&execution.id).await?;
    ensure!(ended.state == "finished" && ended.outcome.as_deref() == Some("killed"), "{ended:?}");
    guest.client().destroy(guest.id()).await?.refused(404, "not_found")?;
    guest.clean().await
}

async fn an_engine_s_process_that_is_killed_ends_the_sandbox(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let execution = busy(&guest).await?;
    kill_engine(&guest)?;
    is_over(&guest, &execution).await
}

async fn an_agent_that_is_killed_ends_the_sandbox(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let execution = busy(&guest).await?;
    kill_agent(&guest, ground.column())?;
    is_over(&guest, &execution).await
}

async fn a_sandbox_all_of_which_is_killed_leaves_nothing(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let execution = busy(&guest).await?;
    let all = guest.host_processes();
    ensure!(!all.is_empty(), "a running sandbox has no process on the host");
    all.iter().try_for_each(|process| process.kill(Signal::KILL))?;
    is_over(&guest, &execution).await
}

async fn what_root_inside_kills_is_its_own_alone(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let execution = busy(&guest).await?;
    let massacre = "import os, signal\nos.kill(-1, signal.SIGKILL); print('done')";
    let ended = guest.execute(NewExecution::code("python", massacre).with("user", "root")).await?;
    ensure!(ended.ok()? == "done\n", "{ended:?}");
    let ended = guest.end_of(&execution.id, DEADLINE).await?;
    ensure!(ended.outcome.as_deref() == Some("signaled") && ended.signal == Some(9), "{ended:?}");
    guest.works().await?;
    guest.gone().await
}
