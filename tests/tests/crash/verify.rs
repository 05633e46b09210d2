//! After a round: is everything that was promised there, and nothing else?

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use sentinal_tests::{Client, Execution, NewExecution, Sandbox, Server, eventually};

use crate::{
    journal::{Deletion, ExecutionPromise, Promises, SandboxPromise},
    program::{self, Program},
};

const SETTLE_DEADLINE: Duration = Duration::from_secs(90);
/// How many promises are looked at at once.
const AT_ONCE: usize = 4;

/// Checks every promise, then ends everything, then looks at the host.
pub(crate) async fn verify(server: &Server, promises: &Promises) -> Result<()> {
    server.healthy().await?;
    server.place().learn_cgroups();
    let client = &server.client()?;
    one_shots_are_gone(client).await?;
    let sandboxes = stream::iter(&promises.sandboxes);
    let states: Vec<(String, String)> = sandboxes
        .map(|promise| async move { check_sandbox(client, promise).await.with_context(|| format!("{promise:?}")) })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let states: HashMap<String, String> = states.into_iter().collect();
    stream::iter(&promises.executions)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |promise| check_execution(client, promises, &states, promise))
        .await?;
    unacknowledged_executions_are_whole(client, promises).await?;
    delete_everything(client).await?;
    server.clean().await
}

/// A sandbox without the label of a client belongs to a one-shot execution, and ends with it.
async fn one_shots_are_gone(client: &Client) -> Result<()> {
    let look = || async {
        let live = live(client).await?;
        let left: Vec<&Sandbox> = live.iter().filter(|sandbox| !sandbox.labels.contains_key("client")).collect();
        ensure!(left.is_empty(), "left over: {left:?}");
        Ok(())
    };
    eventually("the end of one-shot sandboxes", SETTLE_DEADLINE, look).await
}

async fn live(client: &Client) -> Result<Vec<Sandbox>> {
    let all: Vec<Sandbox> = client.list("/sandbox?limit=1000").await?;
    Ok(all.into_iter().filter(|sandbox| !["stopped", "failed"].contains(&sandbox.state.as_str())).collect())
}

/// Answers the sandbox's id and the state in which it has settled.
async fn check_sandbox(client: &Client, promise: &SandboxPromise) -> Result<(String, String)> {
    let settled = || async {
        let sandbox = client.sandbox(&promise.id).await?;
        ensure!(["running", "stopped", "failed"].contains(&sandbox.state.as_str()), "still {}", sandbox.state);
        Ok(sandbox)
    };
    let sandbox = eventually("a settled sandbox", SETTLE_DEADLINE, settled).await?;
    match promise.deletion {
        Deletion::Unasked if promise.running => ensure!(sandbox.state == "running", "lost: {sandbox:?}"),
        Deletion::Unasked => ensure!(sandbox.state != "stopped", "nobody ended it: {sandbox:?}"),
        Deletion::Asked => {}
        Deletion::Acknowledged => {
            let failed = sandbox.state == "failed" && !promise.running;
            ensure!(sandbox.state == "stopped" || failed, "its end was acknowledged: {sandbox:?}");
            client.destroy(&promise.id).await?.refused(404, "not_found")?;
            let execute = NewExecution::shell("true").within(&promise.id);
            client.post("/execute").json(execute.as_json()).send().await?.refused(404, "not_found")?;
        }
    }
    if let Some(mark) = promise.mark {
        ensure!(sandbox.labels.get("mark") == Some(&mark.to_string()), "not marked with {mark}: {sandbox:?}");
    }
    if sandbox.state == "running" {
        client.execute(&NewExecution::shell("true").within(&promise.id)).await?.ok()?;
        check_files(client, promise).await?;
    }
    Ok((promise.id.clone(), sandbox.state))
}

/// An acknowledged file is there byte for byte; any other whole or not at all.
async fn check_files(client: &Client, promise: &SandboxPromise) -> Result<()> {
    for file in &promise.files {
        let answer = client.download(&promise.id, &file.path).await?;
        if answer.status == 404 && !file.acknowledged {
            continue;
        }
        ensure!(answer.status == 200, "{}: {}: {}", file.path, answer.status, answer.text());
        let whole = answer.body == program::content(file.seed, file.size);
        ensure!(whole, "{}: {} other bytes instead of {}", file.path, answer.body.len(), file.size);
    }
    Ok(())
}

async fn check_execution(
    client: &Client,
    promises: &Promises,
    states: &HashMap<String, String>,
    promise: &ExecutionPromise,
) -> Result<()> {
    let explain =
        || format!("{:?} in {:?}: {:?} {}", promise.id, promise.sandbox, promise.program.kind, promise.program.mark);
    if let Some(id) = &promise.id {
        let whole = !promise.sandbox.as_ref().is_some_and(|sandbox| may_be_killed(promises, sandbox));
        check_result(client, id, &promise.program, whole).await.with_context(explain)?;
    }
    let Some(sandbox) =
        promise.sandbox.as_ref().filter(|sandbox| states.get(*sandbox).is_some_and(|state| state == "running"))
    else {
        return Ok(());
    };
    let answer = client.download(sandbox, &promise.program.starts_file()).await?;
    let starts = if answer.status == 404 { 0 } else { answer.expect(200)?.text().lines().count() };
    ensure!(starts <= 1 && (starts == 1 || promise.id.is_none()), "started {starts} times: {}", explain());
    Ok(())
}

/// A sandbox that somebody asked to end, or that never came up, takes its executions with it.
fn may_be_killed(promises: &Promises, sandbox: &str) -> bool {
    let promise = promises.sandboxes.iter().find(|promise| promise.id == sandbox);
    promise.is_none_or(|promise| !promise.running || promise.deletion != Deletion::Unasked)
}

/// Waits for the end, and compares outcome and every byte. `whole` is false where the sandbox may have ended first.
async fn check_result(client: &Client, id: &str, program: &Program, whole: bool) -> Result<()> {
    let ended = || async {
        let execution = client.execution(id).await?;
        ensure!(execution.state == "finished", "still {}", execution.state);
        Ok(execution)
    };
    let execution = eventually("the end of an execution", SETTLE_DEADLINE, ended).await?;
    let (outcome, exit_code) = program.end();
    let as_planned = execution.outcome.as_deref() == Some(outcome) && execution.exit_code == exit_code;
    let killed = execution.outcome.as_deref() == Some("killed") && !whole;
    ensure!(as_planned || killed, "another end than {outcome} {exit_code:?}: {execution:?}");
    for (stream, expected) in [("stdout", program.stdout()), ("stderr", program.stderr())] {
        let output = client.output(id, stream, 0).await?;
        ensure!(expected.starts_with(&output), "{stream}: other bytes than the program wrote");
        let complete = output.len() == expected.len() || outcome == "timeout" || killed;
        ensure!(complete, "{stream}: {} bytes of {}", output.len(), expected.len());
        let middle = output.len() / 3;
        ensure!(client.output(id, stream, middle).await? == output[middle..], "{stream}: others from {middle} on");
    }
    Ok(())
}

/// Whatever was started without anybody being told has ended, and its output is the beginning of what was asked for.
async fn unacknowledged_executions_are_whole(client: &Client, promises: &Promises) -> Result<()> {
    for sandbox in &promises.sandboxes {
        let executions: Vec<Execution> = client.list(&format!("/execution?sandbox_id={}", sandbox.id)).await?;
        let acknowledged = |id: &str| {
            promises.looked_at.contains(id)
                || promises.executions.iter().any(|promise| promise.id.as_deref() == Some(id))
        };
        for execution in executions.iter().filter(|execution| !acknowledged(&execution.id)) {
            let stdout = client.output(&execution.id, "stdout", 0).await?;
            let asked =
                |promise: &&ExecutionPromise| promise.id.is_none() && promise.program.stdout().starts_with(&stdout);
            let ours = stdout.is_empty() || promises.executions.iter().any(|promise| asked(&promise));
            ensure!(ours, "an execution that nobody asked for, or with other output: {execution:?}");
        }
    }
    Ok(())
}

async fn delete_everything(client: &Client) -> Result<()> {
    for sandbox in live(client).await? {
        let answer = client.destroy(&sandbox.id).await?;
        if ![200, 202, 204, 404].contains(&answer.status) {
            bail!("destroy {}: {}: {}", sandbox.id, answer.status, answer.text());
        }
    }
    let look = || async {
        let left = live(client).await?;
        ensure!(left.is_empty(), "left over: {left:?}");
        Ok(())
    };
    eventually("the end of all sandboxes", SETTLE_DEADLINE, look).await
}
