//! Processes that do not want to end, that nobody waits for, or that try to get away.

use std::time::Duration;

use anyhow::{Result, ensure};
use sentinal_tests::{Fact, Ground, Guest, NewExecution, eventually};
use serde_json::json;

use crate::table::{Row, light};

const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(a_timeout_ends_a_program_with_its_children),
        light(a_program_that_ignores_sigterm_is_ended_all_the_same),
        light(a_sandbox_whose_programs_ignore_every_signal_is_halted),
        light(daemons_that_fork_twice_live_until_the_sandbox_ends),
        light(zombies_are_reaped),
        light(a_stopped_program_is_ended_by_its_timeout),
        light(output_of_a_daemon_does_not_hold_up_the_end),
    ]
}

/// Waits until no process has this word in its command line.
async fn none_named(guest: &Guest, word: &str) -> Result<()> {
    let look = format!(
        "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o '[{}]{}' | wc -l",
        &word[..1],
        &word[1..]
    );
    let gone = || async {
        let left = guest.shell(&look).await?.ok()?;
        ensure!(left == "0\n", "{} processes named {word} are left", left.trim());
        Ok(())
    };
    eventually("the end of processes", DEADLINE, gone).await
}

async fn a_timeout_ends_a_program_with_its_children(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let family = "echo before; echo err >&2; (sh -c 'sleep 7201; :' & sleep 7201 & wait) & sleep 7201";
    let ended = guest.execute(NewExecution::shell(family).with("timeout", 1.5)).await?;
    ensure!(ended.outcome.as_deref() == Some("timeout"), "{ended:?}");
    ensure!(ended.exit_code.is_none() && ended.signal.is_none(), "{ended:?}");
    ensure!(ended.stdout.as_deref() == Some("before\n") && ended.stderr.as_deref() == Some("err\n"), "{ended:?}");
    none_named(&guest, "7201").await?;
    guest.works().await?;
    guest.gone().await
}

async fn a_program_that_ignores_sigterm_is_ended_all_the_same(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let stubborn = "import signal, time\n\
        for s in range(1, 65):\n  try: signal.signal(s, signal.SIG_IGN)\n  except (OSError, ValueError): pass\n\
        print('ignoring', flush=True)\nwhile True: time.sleep(7202)";
    let ended = guest.execute(NewExecution::code("python", stubborn).with("timeout", 3)).await?;
    ensure!(ended.outcome.as_deref() == Some("timeout"), "{ended:?}");
    ensure!(ended.stdout.as_deref() == Some("ignoring\n"), "{ended:?}");
    none_named(&guest, "7202").await?;
    guest.gone().await
}

async fn a_sandbox_whose_programs_ignore_every_signal_is_halted(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let stubborn = "trap '' HUP INT QUIT TERM USR1 USR2 ALRM; echo ignoring; while :; do sleep 1; done";
    let stubborn = NewExecution::code("bash", stubborn).within(guest.id()).with("timeout", 250);
    let started = guest.client().execute_in_background(stubborn).await?;
    let begun = || async {
        let output = guest.client().output(&started.id, "stdout", 0).await?;
        ensure!(output == "ignoring\n", "{output:?}");
        Ok(())
    };
    eventually("a program that ignores signals", DEADLINE, begun).await?;
    let client = guest.client().clone();
    guest.gone().await?;
    let ended = client.execution(&started.id).await?;
    ensure!(ended.state == "finished" && ended.outcome.as_deref() == Some("killed"), "{ended:?}");
    Ok(())
}

/// What a program leaves running on purpose is the sandbox's, until its end.
async fn daemons_that_fork_twice_live_until_the_sandbox_ends(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let daemon = "import os, time\n\
        if os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n\
        os.close(0); os.close(1); os.close(2)\n\
        while True:\n  open('alive', 'w').write(str(time.monotonic())); time.sleep(0.1)";
    ensure!(guest.execute(NewExecution::code("python", daemon)).await?.ok()?.is_empty());
    let lives = || async {
        let before = guest.shell("cat alive").await?.ok()?;
        let moved = guest.shell(&format!("sleep 0.4; test \"$(cat alive)\" != '{before}'")).await?;
        ensure!(!before.is_empty() && moved.exit_code == Some(0), "the daemon stands still at {before:?}");
        Ok(())
    };
    eventually("a daemon that lives", DEADLINE, lives).await?;
    let parent = guest
        .shell("for p in /proc/[0-9]*; do grep -q '[o]s.setsid' $p/cmdline 2>/dev/null && cut -d' ' -f4 $p/stat; done");
    ensure!(parent.await?.ok()? == "1\n", "a daemon is its init's child");
    guest.gone().await
}

async fn zombies_are_reaped(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let orphans = "import os\n\
        for _ in range(300):\n  pid = os.fork()\n  if pid == 0:\n    os.fork()\n    os._exit(0)\n  os.waitpid(pid, 0)\nprint('done')";
    ensure!(guest.execute(NewExecution::code("python", orphans)).await?.ok()? == "done\n");
    let reaped = || async {
        let zombies = guest.shell("cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z '").await?;
        ensure!(zombies.stdout.as_deref() == Some("0\n"), "zombies: {zombies:?}");
        Ok(())
    };
    eventually("a sandbox without zombies", DEADLINE, reaped).await?;
    // A program that does not wait for its own children has as many of them as it likes, until it ends.
    let careless =
        "import os, time\nfor _ in range(100):\n  if os.fork() == 0: os._exit(0)\ntime.sleep(0.3); print('done')";
    ensure!(guest.execute(NewExecution::code("python", careless)).await?.ok()? == "done\n");
    eventually("a sandbox without zombies", DEADLINE, reaped).await?;
    guest.gone().await
}

async fn a_stopped_program_is_ended_by_its_timeout(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let ended = guest.execute(NewExecution::shell("kill -STOP $$; sleep 7203").with("timeout", 1.5)).await?;
    ensure!(ended.outcome.as_deref() == Some("timeout"), "{ended:?}");
    none_named(&guest, "7203").await?;
    guest.gone().await
}

async fn output_of_a_daemon_does_not_hold_up_the_end(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let line = "(while :; do echo later; sleep 0.2; done) & echo now";
    let ended = guest.execute(NewExecution::shell(line).with("timeout", 200)).await?;
    ensure!(ended.outcome.as_deref() == Some("exited") && ended.exit_code == Some(0), "{ended:?}");
    ensure!(ended.stdout.as_deref().is_some_and(|said| said.contains("now\n")), "{ended:?}");
    guest.works().await?;
    guest.gone().await
}
