//! What is broken off: by Ctrl-C, by a pipe that nobody reads, by a server that is killed.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use sentinal_tests::{Fact, Options, Role, Server, eventually, shared};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::Child,
    time::timeout,
};

use crate::caller::{Caller, ended};

const DEADLINE: Duration = Duration::from_mins(1);

/// Starts it and waits for its first line.
async fn started(caller: &Caller, arguments: &[&str]) -> Result<(Child, BufReader<tokio::process::ChildStdout>)> {
    let mut child = caller.command(arguments).spawn()?;
    let mut stdout = BufReader::new(child.stdout.take().context("a pipe")?);
    let mut line = String::new();
    timeout(DEADLINE, stdout.read_line(&mut line)).await.context("it says nothing")??;
    ensure!(line == "up\n", "{line:?}");
    Ok((child, stdout))
}

fn interrupt(child: &Child) -> Result<()> {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("it has ended")?;
    Ok(kill_process(pid, Signal::INT)?)
}

async fn status(mut child: Child) -> Result<Option<i32>> {
    Ok(timeout(DEADLINE, child.wait()).await.context("it goes on")??.code())
}

#[tokio::test]
async fn ctrl_c_is_the_programs_first_and_then_the_sandbox_goes() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let run = |line| ["run", "--label", "test=interrupt", "--", "sh", "-c", line];
    let obeys = "trap 'exit 9' INT; echo up; while :; do sleep 0.1; done";
    let (child, _stdout) = started(&caller, &run(obeys)).await?;
    interrupt(&child)?;
    ensure!(status(child).await? == Some(9));
    let listed = || caller.gets(&["ls", "-q", "--label", "test=interrupt"]);
    ensure!(listed().await?.is_empty());
    let (child, _stdout) = started(&caller, &run("trap '' INT; echo up; sleep 60")).await?;
    let id = listed().await?;
    interrupt(&child)?;
    // The second one is not sent before the first has arrived.
    tokio::time::sleep(Duration::from_millis(300)).await;
    interrupt(&child)?;
    ensure!(status(child).await? == Some(130));
    let sandbox = server.client()?.sandbox(&id).await?;
    ensure!(sandbox.outcome.as_deref() == Some("destroyed"), "{sandbox:?}");
    Ok(())
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_ends_it_quietly() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let line = "sentinal run --label test=pipe yes | head -1; echo ${PIPESTATUS[0]}";
    let said = ended(caller.shell(line)).await?;
    ensure!(said.text() == "y\n141\n" && said.stderr.is_empty(), "{said:?}");
    ensure!(caller.gets(&["ls", "-q", "--label", "test=pipe"]).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_killed_meanwhile_costs_not_a_byte() -> Fact {
    let Some(server) = Server::start("cli-killed", Options::default()).await? else { return Ok(()) };
    let caller = Caller::of(&server).await?;
    let line = "echo up; for i in $(seq 1 40); do echo $i; sleep 0.1; done; exit 6";
    let (child, mut stdout) = started(&caller, &["run", "--", "sh", "-c", line]).await?;
    server.kill(Role::Serve).await?;
    server.launch(Role::Serve)?;
    let mut rest = String::new();
    timeout(DEADLINE, stdout.read_to_string(&mut rest)).await.context("it goes on")??;
    let expected: Vec<String> = (1..=40).map(|number: u32| number.to_string()).collect();
    ensure!(rest.lines().eq(expected), "{rest:?}");
    ensure!(status(child).await? == Some(6));
    let gone = || async {
        let left = caller.gets(&["ls", "-q"]).await?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    };
    eventually("an empty list", DEADLINE, gone).await
}

#[tokio::test]
async fn a_log_is_followed_until_its_sandbox_has_ended() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let id = caller.gets(&["create"]).await?;
    let mut following = caller.command(&["logs", "--follow", &id]).stdin(Stdio::null()).spawn()?;
    caller.gets(&["exec", &id, "--", "sh", "-c", "echo out; echo err >&2"]).await?;
    let mut lines = BufReader::new(following.stdout.take().context("a pipe")?).lines();
    ensure!(timeout(DEADLINE, lines.next_line()).await??.as_deref() == Some("out"));
    caller.gets(&["rm", &id]).await?;
    ensure!(status(following).await? == Some(0));
    Ok(())
}
