//! `serve` or `node` is killed in the middle of everything, and started again: what went on goes on, what was to end
//! ends as it was to, and what was answered stays true.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Fact, LostToOom, NewExecution, Role};
use serde_json::{Value, json};

use crate::{
    contexts, killed, moments, pause,
    scene::{Part, Scene, Stage, part, plain},
    terminals,
};

pub(crate) const DEADLINE: Duration = Duration::from_mins(3);

pub(crate) fn scenes() -> Vec<Scene> {
    vec![
        Scene {
            name: "serve is killed and started",
            weight: 4,
            options: plain,
            disturb: |stage| Box::pin(restart(stage, Role::Serve)),
            parts: parts(),
        },
        Scene {
            name: "node is killed and started",
            weight: 4,
            options: plain,
            disturb: |stage| Box::pin(restart(stage, Role::Node)),
            parts: parts(),
        },
    ]
}

fn parts() -> Vec<Part> {
    vec![
        part(moments::a_boot_comes_to_its_end),
        part(moments::a_halt_comes_to_its_end),
        part(moments::an_upload_is_whole_or_not_there),
        part(moments::a_download_is_whole_or_broken_off),
        part(an_execution_goes_on_without_a_hole),
        part(a_flood_of_output_is_complete),
        part(a_timeout_is_kept),
        part(a_ttl_is_kept),
        part(an_idle_timeout_is_kept),
        part(many_executions_come_to_their_ends),
        part(a_daemon_lives_on),
        part(a_terminal_goes_on),
        part(a_context_goes_on),
        part(running_out_of_memory_is_told),
        part(a_fork_bomb_is_bounded),
        part(a_full_disk_is_an_error_inside),
        part(a_paused_sandbox_stays_paused),
        part(an_engine_killed_meanwhile_is_noticed),
    ]
}

async fn restart(stage: Stage, role: Role) -> Fact {
    stage.server.kill(role).await?;
    stage.server.launch(role)?;
    stage.server.healthy().await
}

async fn an_execution_goes_on_without_a_hole(stage: Stage) -> Fact {
    let guest = stage.guest(json!({})).await?;
    let counting = pause::counting(&guest).await?;
    stage.meanwhile().await?;
    let so_far = guest.client().output(&counting.id, "stdout", 0).await?.split(|byte| *byte == b'\n').count();
    pause::counts_beyond(&guest, &counting, so_far).await?;
    guest.shell("touch stop").await?.ok()?;
    let lines = guest.end_of(&counting.id, DEADLINE).await?.ok()?;
    let in_order = lines.lines().enumerate().all(|(index, line)| line == (index + 1).to_string());
    ensure!(in_order, "a hole or a repetition in {lines:?}");
    guest.gone().await
}

async fn a_flood_of_output_is_complete(stage: Stage) -> Fact {
    let guest = stage.guest(json!({})).await?;
    let flood = "import time, sys\nfor block in range(200):\n\
                 \x20 sys.stdout.write(''.join('%09d\\n' % (block * 1000 + i) for i in range(1000))); sys.stdout.flush()\n\
                 \x20 time.sleep(0.03)";
    let flood = NewExecution::code("python", flood).within(guest.id()).with("timeout", 280);
    let started = guest.client().execute_in_background(flood).await?;
    stage.meanwhile().await?;
    let ended = guest.end_of(&started.id, DEADLINE).await?;
    ensure!(ended.exit_code == Some(0), "{:?} {:?}", ended.outcome, ended.exit_code);
    let stored = guest.client().output(&started.id, "stdout", 0).await?;
    let expected: String = (0..200_000).map(|number| format!("{number:09}\n")).collect();
    ensure!(stored == expected, "{} other bytes than the {} that were written", stored.len(), expected.len());
    guest.gone().await
}

async fn a_timeout_is_kept(stage: Stage) -> Fact {
    let guest = stage.guest(json!({})).await?;
    let sleep = NewExecution::shell("echo before; sleep 7210").within(guest.id()).with("timeout", 5);
    let started = guest.client().execute_in_background(sleep).await?;
    stage.meanwhile().await?;
    let ended = guest.end_of(&started.id, DEADLINE).await?;
    ensure!(ended.outcome.as_deref() == Some("timeout"), "{ended:?}");
    ensure!(ended.stdout.as_deref() == Some("before\n"), "{ended:?}");
    guest.gone().await
}

async fn a_ttl_is_kept(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"ttl": 30})).await?;
    let execution = killed::busy(&guest).await?;
    stage.meanwhile().await?;
    let sandbox = guest.becomes("stopped", DEADLINE).await?;
    ensure!(sandbox.outcome.as_deref() == Some("expired"), "{sandbox:?}");
    let ended = guest.client().execution(&execution.id).await?;
    ensure!(ended.outcome.as_deref() == Some("killed"), "{ended:?}");
    guest.clean().await
}

async fn an_idle_timeout_is_kept(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"idle_timeout": 30})).await?;
    stage.meanwhile().await?;
    let sandbox = guest.becomes("stopped", DEADLINE).await?;
    ensure!(sandbox.outcome.as_deref() == Some("idle"), "{sandbox:?}");
    guest.clean().await
}

/// Some end before, some meanwhile, some afterwards; none is lost, and none is mixed up with another.
async fn many_executions_come_to_their_ends(stage: Stage) -> Fact {
    let guest = stage.guest(json!({})).await?;
    let line = |number: u32| {
        let line = format!("trap '' TERM HUP; sleep {}.{}; echo {number}; exit {number}", number / 4, number % 4 * 2);
        NewExecution::shell(&line).within(guest.id()).with("timeout", 120)
    };
    let starting = (0..24).map(|number| guest.client().execute_in_background(line(number)));
    let started = futures::future::try_join_all(starting).await?;
    stage.meanwhile().await?;
    for (number, execution) in started.iter().enumerate() {
        let ended = guest.end_of(&execution.id, DEADLINE).await?;
        let is_right = ended.exit_code == Some(i32::try_from(number)?) && ended.stdout == Some(format!("{number}\n"));
        ensure!(is_right, "execution {number}: {ended:?}");
    }
    guest.gone().await
}

async fn a_daemon_lives_on(stage: Stage) -> Fact {
    let guest = stage.guest(json!({})).await?;
    let daemon = "setsid sh -c 'setsid sh -c \"while :; do date +%s%N > alive; sleep 0.1; done\" &' \
                  </dev/null >/dev/null 2>&1 & echo left";
    ensure!(guest.shell(daemon).await?.ok()? == "left\n");
    stage.meanwhile().await?;
    let moves =
        "for _ in $(seq 100); do a=$(cat alive); sleep 0.2; [ \"$a\" = \"$(cat alive)\" ] || exit 0; done; exit 1";
    ensure!(guest.shell(moves).await?.exit_code == Some(0), "the daemon stands still");
    guest.gone().await
}

async fn a_terminal_goes_on(stage: Stage) -> Fact {
    let guest = stage.guest(json!({})).await?;
    let (mut socket, id) = terminals::terminal(&guest, "").await?;
    socket.send("x=kept; echo begun\r").await?;
    let seen = socket.until("begun\r\n").await?.len();
    drop(socket);
    stage.meanwhile().await?;
    let mut socket = terminals::attached(&guest, &id, seen).await?;
    socket.send("echo $x on; exit 5\r").await?;
    socket.until("kept on\r\n").await?;
    let ended = guest.end_of(&id, DEADLINE).await?;
    ensure!(ended.exit_code == Some(5), "{ended:?}");
    guest.gone().await
}

async fn a_context_goes_on(stage: Stage) -> Fact {
    let guest = stage.guest(json!({})).await?;
    let python = contexts::context(&guest, "python").await?;
    contexts::run(&guest, &python, "x = 'kept'").await?;
    let slow = "import time; print('begun', flush=True); time.sleep(6); x + ' on'";
    let slow = json!({"sandbox_id": guest.id(), "context_id": python, "code": slow, "background": true});
    let slow: Value = guest.client().post("/execute").json(&slow).send().await?.expect(202)?.json()?;
    stage.meanwhile().await?;
    let id = slow["id"].as_str().unwrap_or_default();
    let ended = guest.end_of(id, DEADLINE).await?;
    ensure!(ended.exit_code == Some(0) && ended.stdout.as_deref() == Some("begun\n"), "{ended:?}");
    let whole: Value = guest.client().get(&format!("/execution/{id}")).send().await?.expect(200)?.json()?;
    ensure!(whole["results"][0]["data"]["text/plain"] == "'kept on'", "{whole}");
    guest.gone().await
}

async fn running_out_of_memory_is_told(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"memory": "128Mi"})).await?;
    let eater = "import time\ntime.sleep(1.5)\nblocks = []\nwhile True: blocks.append(bytearray(b'x' * (4 << 20)))";
    let eater = NewExecution::code("python", eater).within(guest.id()).with("timeout", 280);
    let started = guest.client().execute_in_background(eater).await?;
    stage.meanwhile().await?;
    let ended = guest.end_of(&started.id, DEADLINE).await?;
    ensure!(ended.outcome.as_deref() == Some("oom"), "{ended:?}");
    if stage.column.lost_to_oom() == LostToOom::Process {
        guest.works().await?;
        return guest.gone().await;
    }
    let sandbox = guest.becomes("failed", DEADLINE).await?;
    ensure!(sandbox.outcome.as_deref() == Some("oom"), "{sandbox:?}");
    guest.clean().await
}

async fn a_fork_bomb_is_bounded(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"memory": "2Gi"})).await?;
    let bomb = NewExecution::code("bash", "bomb() { bomb | bomb & }; bomb; sleep 1000").with("timeout", 6);
    let started = guest.client().execute_in_background(bomb.within(guest.id())).await?;
    stage.meanwhile().await?;
    let ended = guest.end_of(&started.id, DEADLINE).await?;
    ensure!(ended.outcome.as_deref() != Some("killed"), "the bomb took the sandbox with it: {ended:?}");
    sentinal_tests::eventually("a sandbox that works again", DEADLINE, || guest.works()).await?;
    guest.gone().await
}

async fn a_full_disk_is_an_error_inside(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"disk": "64Mi"})).await?;
    let fill = "while head -c 1000000 /dev/zero >> big; do sleep 0.05; done; echo full";
    let fill = NewExecution::shell(fill).within(guest.id()).with("timeout", 280);
    let started = guest.client().execute_in_background(fill).await?;
    stage.meanwhile().await?;
    let ended = guest.end_of(&started.id, DEADLINE).await?;
    ensure!(ended.stdout.as_deref() == Some("full\n"), "{ended:?}");
    ensure!(ended.stderr.as_ref().is_some_and(|said| said.contains("No space left on device")), "{ended:?}");
    guest.shell("rm big && echo fits > small").await?.ok()?;
    guest.gone().await
}

async fn a_paused_sandbox_stays_paused(stage: Stage) -> Fact {
    let guest = stage.guest(json!({})).await?;
    let counting = pause::counting(&guest).await?;
    pause::pause(&guest).await?;
    stage.meanwhile().await?;
    let sandbox = guest.client().sandbox(guest.id()).await?;
    ensure!(sandbox.state == "paused", "{sandbox:?}");
    pause::resume(&guest).await?;
    pause::counts_beyond(&guest, &counting, 1).await?;
    guest.gone().await
}

/// Killed while whoever was killed is not there to see it, or has just come back.
async fn an_engine_killed_meanwhile_is_noticed(stage: Stage) -> Fact {
    let guest = stage.guest(json!({})).await?;
    let execution = killed::busy(&guest).await?;
    let data_dir = stage.server.place().data_dir();
    let kill = async {
        let one_is_gone = || async {
            let gone = Role::ALL.iter().any(|role| role.running(data_dir).is_empty());
            ensure!(gone, "both live");
            Ok(())
        };
        // A restart that nobody saw is one that is over: then it is killed afterwards.
        let _ = sentinal_tests::eventually("a killed role", Duration::from_secs(20), one_is_gone).await;
        killed::kill_engine(&guest)
    };
    let (disturbed, killed): (Result<()>, Result<()>) = tokio::join!(stage.meanwhile(), kill);
    disturbed?;
    killed.context("kill the engine")?;
    killed::is_over(&guest, &execution).await
}
