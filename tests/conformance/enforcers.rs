//! Each limit of time has several enforcers, none of which needs the others: here each of them is alone.
//!
//! | alone | the others |
//! |---|---|
//! | the controller | the sandbox is frozen, agent included; the node's clock is as good as still |
//! | the node | the server is dead; the sandbox is frozen, agent included |
//! | the agent | the server and the node are dead |
//!
//! The timeout of an execution is the agent's and the controller's: the node knows no executions.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use sentinal_tests::{Column, Execution, Fact, Guest, NewExecution, Options, Role, soon};
use serde_json::json;

use crate::{
    clock::{Clock, Speed},
    killed::busy,
    scene::{Part, Scene, Stage, part, plain},
};

/// A limit, the longest grace after it, and a halt on a busy machine.
const DEADLINE: Duration = Duration::from_mins(2);
/// Long enough for a scene to be set up, on a busy machine too.
const TTL_SECONDS: u32 = 25;

pub(crate) fn scenes() -> Vec<Scene> {
    let parts = |parts: Vec<Part>| parts;
    vec![
        Scene {
            name: "the controller alone",
            weight: 1,
            options: node_stands_still,
            disturb: |_| Box::pin(std::future::ready(Ok(()))),
            parts: parts(vec![part(frozen_ttl), part(frozen_idle_timeout), part(frozen_timeout)]),
        },
        Scene {
            name: "the node alone",
            weight: 1,
            options: plain,
            disturb: |stage| Box::pin(async move { stage.server.kill(Role::Serve).await }),
            parts: parts(vec![part(unserved_ttl), part(unserved_idle_timeout)]),
        },
        Scene {
            name: "the agent alone",
            weight: 1,
            options: plain,
            disturb: |stage| {
                Box::pin(async move {
                    stage.server.kill(Role::Serve).await?;
                    stage.server.kill(Role::Node).await
                })
            },
            parts: parts(vec![part(lonely_ttl), part(lonely_idle_timeout), part(lonely_timeout)]),
        },
    ]
}

fn node_stands_still(_: Column) -> Result<Options> {
    Clock::of(Role::Node, Speed::Slow)?.options()
}

/// From now on nothing in it runs, the agent neither.
fn freeze(guest: &Guest) -> Fact {
    let all = guest.host_processes();
    ensure!(!all.is_empty(), "a running sandbox has no process on the host");
    all.iter().try_for_each(|process| process.kill(Signal::STOP))
}

async fn disappears(guest: &Guest) -> Fact {
    soon("the end of a sandbox", DEADLINE, || {
        let left = guest.host_processes();
        ensure!(left.is_empty(), "{} is still there", left[0]);
        Ok(())
    })
    .await
}

async fn is_recorded(stage: &Stage, guest: &Guest, outcome: &str) -> Fact {
    stage.serves_again().await?;
    let sandbox = guest.becomes("stopped", DEADLINE).await?;
    ensure!(sandbox.outcome.as_deref() == Some(outcome), "{sandbox:?}");
    guest.clean().await
}

async fn frozen_ttl(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"ttl": TTL_SECONDS})).await?;
    freeze(&guest)?;
    stage.meanwhile().await?;
    is_recorded(&stage, &guest, "expired").await
}

async fn frozen_idle_timeout(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"idle_timeout": 3})).await?;
    freeze(&guest)?;
    stage.meanwhile().await?;
    is_recorded(&stage, &guest, "idle").await
}

/// An execution whose agent does not end it is ended with its sandbox.
async fn frozen_timeout(stage: Stage) -> Fact {
    let guest = stage.guest(json!({})).await?;
    let sleep = NewExecution::shell("sleep 7206").within(guest.id()).with("timeout", 3);
    let started = guest.client().execute_in_background(sleep).await?;
    freeze(&guest)?;
    stage.meanwhile().await?;
    let ended = guest.end_of(&started.id, DEADLINE).await?;
    ensure!(ended.outcome.as_deref() == Some("timeout"), "{ended:?}");
    // Only a sandbox that is gone has certainly ended its programs.
    let answer = guest.client().destroy(guest.id()).await?;
    ensure!([200, 404].contains(&answer.status), "{}: {}", answer.status, answer.text());
    guest.clean().await
}

async fn unserved_ttl(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"ttl": TTL_SECONDS})).await?;
    busy(&guest).await?;
    freeze(&guest)?;
    stage.meanwhile().await?;
    disappears(&guest).await?;
    is_recorded(&stage, &guest, "expired").await
}

async fn unserved_idle_timeout(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"idle_timeout": TTL_SECONDS})).await?;
    freeze(&guest)?;
    stage.meanwhile().await?;
    disappears(&guest).await?;
    is_recorded(&stage, &guest, "idle").await
}

async fn lonely_ttl(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"ttl": TTL_SECONDS})).await?;
    busy(&guest).await?;
    stage.meanwhile().await?;
    disappears(&guest).await?;
    is_recorded(&stage, &guest, "expired").await
}

async fn lonely_idle_timeout(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"idle_timeout": TTL_SECONDS})).await?;
    stage.meanwhile().await?;
    disappears(&guest).await?;
    is_recorded(&stage, &guest, "idle").await
}

async fn lonely_timeout(stage: Stage) -> Fact {
    let guest = stage.guest(json!({})).await?;
    let sleep = NewExecution::shell("echo before; sleep 7207").within(guest.id()).with("timeout", 4);
    let started: Execution = guest.client().execute_in_background(sleep).await?;
    stage.meanwhile().await?;
    stage.serves_again().await?;
    let ended = guest.end_of(&started.id, DEADLINE).await?;
    ensure!(ended.outcome.as_deref() == Some("timeout"), "{ended:?}");
    ensure!(ended.stdout.as_deref() == Some("before\n"), "{ended:?}");
    let left = guest.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c '[s]leep 7207'").await?;
    ensure!(left.stdout.as_deref() == Some("0\n"), "{left:?}");
    guest.gone().await
}
