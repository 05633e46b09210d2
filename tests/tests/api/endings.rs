//! How a program ends is a result, and the ways are told apart.

use std::time::Duration;

use anyhow::{Result, ensure};
use sentinal_tests::{Execution, Fact, Guest, NewExecution, eventually, guest};
use serde_json::json;

async fn check(
    guest: &Guest,
    new: NewExecution,
    outcome: &str,
    exit_code: Option<i32>,
    signal: Option<i32>,
) -> Result<()> {
    let ended = guest.execute(new.clone()).await?;
    let as_expected = ended.state == "finished"
        && ended.outcome.as_deref() == Some(outcome)
        && ended.exit_code == exit_code
        && ended.signal == signal;
    ensure!(as_expected, "{new:?} ended as {ended:?} instead of {outcome} {exit_code:?} {signal:?}");
    ensure!(ended.duration_ms.is_some_and(|ms| ms > 0.0), "without a duration: {ended:?}");
    Ok(())
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    for code in [0, 1, 42, 255] {
        check(&guest, NewExecution::shell(&format!("exit {code}")), "exited", Some(code), None).await?;
    }
    check(&guest, NewExecution::shell("kill -TERM $$"), "signaled", None, Some(15)).await?;
    check(&guest, NewExecution::shell("kill -KILL $$"), "signaled", None, Some(9)).await?;
    check(&guest, NewExecution::code("python", "import os; os.abort()"), "signaled", None, Some(6)).await?;
    guest.gone().await
}

#[tokio::test]
async fn a_program_that_is_not_there_exits_with_127_and_one_that_may_not_run_with_126() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let direct = |program: &str| NewExecution::shell(program).with("args", json!([]));
    check(&guest, direct("no-such-program"), "exited", Some(127), None).await?;
    check(&guest, direct("/no/such/program"), "exited", Some(127), None).await?;
    check(&guest, NewExecution::shell("no-such-program"), "exited", Some(127), None).await?;
    check(&guest, NewExecution::shell("echo hello > plain"), "exited", Some(0), None).await?;
    check(&guest, direct("/home/user/plain"), "exited", Some(126), None).await?;
    check(&guest, direct("/tmp"), "exited", Some(126), None).await?;
    check(&guest, NewExecution::shell("./plain"), "exited", Some(126), None).await?;
    guest.works().await?;
    guest.gone().await
}

#[tokio::test]
async fn a_timeout_ends_the_program_with_all_its_children() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let children = NewExecution::shell("(while :; do sleep 0.1; done) & sleep 1000").with("timeout", 0.5);
    check(&guest, children, "timeout", None, None).await?;
    let stubborn = NewExecution::shell("trap '' TERM INT HUP; while :; do sleep 0.1; done").with("timeout", 0.5);
    check(&guest, stubborn, "timeout", None, None).await?;
    let gone = || async {
        let left = guest.shell("ps -e -o args= 2>/dev/null | grep -c '[s]leep'").await?;
        ensure!(left.stdout.as_deref() == Some("0\n"), "still there: {left:?}");
        Ok(())
    };
    eventually("the end of the children", Duration::from_secs(10), gone).await?;
    guest.gone().await
}

#[tokio::test]
async fn what_was_written_before_a_timeout_is_kept() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let ended =
        guest.execute(NewExecution::shell("echo before; echo err >&2; sleep 1000").with("timeout", 0.7)).await?;
    ensure!(ended.outcome.as_deref() == Some("timeout"), "{ended:?}");
    ensure!(ended.stdout.as_deref() == Some("before\n") && ended.stderr.as_deref() == Some("err\n"), "{ended:?}");
    guest.gone().await
}

#[tokio::test]
async fn out_of_memory_is_told_from_every_other_end() -> Fact {
    let Some(guest) = guest(json!({"memory": "128Mi"})).await? else { return Ok(()) };
    let eater = "blocks = []\nwhile True: blocks.append(bytearray(b'x' * (8 << 20)))";
    let ended = guest.execute(NewExecution::code("python", eater)).await?;
    ensure!(ended.outcome.as_deref() == Some("oom"), "{ended:?}");
    ensure!(ended.exit_code.is_none() && ended.signal.is_none(), "{ended:?}");
    let settled = || async {
        let sandbox = guest.client().sandbox(guest.id()).await?;
        ensure!(["running", "failed"].contains(&sandbox.state.as_str()), "still {}", sandbox.state);
        Ok(sandbox)
    };
    let sandbox = eventually("a settled sandbox", Duration::from_secs(30), settled).await?;
    if sandbox.state == "running" {
        guest.works().await?;
        return guest.gone().await;
    }
    ensure!(sandbox.outcome.as_deref() == Some("oom"), "{sandbox:?}");
    guest.client().destroy(guest.id()).await?.refused(404, "not_found")?;
    guest.clean().await
}

#[tokio::test]
async fn a_delete_kills_what_runs_and_its_output_stays_readable() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let long = NewExecution::shell("echo begun; sleep 1000").within(guest.id()).with("timeout", 250);
    let started = guest.client().execute_in_background(long).await?;
    let begun = || async {
        let output = guest.client().output(&started.id, "stdout", 0).await?;
        ensure!(output == "begun\n", "{output:?}");
        Ok(())
    };
    eventually("its first line", Duration::from_secs(20), begun).await?;
    let (client, id) = (guest.client().clone(), started.id.clone());
    guest.gone().await?;
    let ended: Execution = client.execution(&id).await?;
    ensure!(ended.state == "finished" && ended.outcome.as_deref() == Some("killed"), "{ended:?}");
    ensure!(ended.stdout.as_deref() == Some("begun\n"), "{ended:?}");
    Ok(())
}
