//! Programs that take all they can get: they get what they were promised, and their neighbour does not notice.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use sentinal_tests::{Execution, Fact, Ground, Guest, LostToOom, NewExecution, eventually};
use serde_json::json;

use crate::table::{Row, light};

const DEADLINE: Duration = Duration::from_mins(2);
/// See `model::limits`.
const PROCESSES_MAX: u64 = 512;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(memory_beyond_the_limit_ends_as_oom),
        light(a_fork_bomb_is_bounded),
        light(a_thread_bomb_is_bounded),
        light(open_files_are_bounded),
        light(a_bomb_of_everything_leaves_the_neighbour_alone),
    ]
}

/// Starts it in the background and waits for its end, whatever that is.
async fn set_off(guest: &Guest, bomb: NewExecution) -> Result<Execution> {
    let bomb = guest.client().execute_in_background(bomb.within(guest.id())).await?;
    guest.end_of(&bomb.id, DEADLINE).await
}

async fn works_again(guest: &Guest) -> Result<()> {
    let works = || async { guest.works().await };
    eventually("a sandbox that works again", DEADLINE, works).await
}

/// gVisor loses the sandbox, native the process: both say `oom`.
async fn memory_beyond_the_limit_ends_as_oom(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"memory": "128Mi"})).await?;
    let beside = NewExecution::shell("sleep 7204").within(guest.id()).with("timeout", 250);
    let beside = guest.client().execute_in_background(beside).await?;
    let eater = "blocks = []\nwhile True: blocks.append(bytearray(b'x' * (4 << 20)))";
    let ended = set_off(&guest, NewExecution::code("python", eater)).await?;
    ensure!(ended.outcome.as_deref() == Some("oom"), "{ended:?}");
    ensure!(ended.exit_code.is_none() && ended.signal.is_none(), "{ended:?}");
    match ground.column().lost_to_oom() {
        LostToOom::Process => {
            works_again(&guest).await?;
            ensure!(guest.client().execution(&beside.id).await?.state == "running", "it took another program with it");
            guest.gone().await
        }
        LostToOom::Sandbox => {
            let failed = guest.becomes("failed", DEADLINE).await?;
            ensure!(failed.outcome.as_deref() == Some("oom"), "{failed:?}");
            let beside = guest.client().execution(&beside.id).await?;
            ensure!(beside.outcome.as_deref() == Some("oom"), "every execution in it ends so: {beside:?}");
            guest.clean().await
        }
    }
}

async fn a_fork_bomb_is_bounded(ground: Ground) -> Fact {
    // With so much memory it is the number of processes that bounds it.
    let guest = ground.guest(json!({"memory": "2Gi"})).await?;
    let count = "import os, time\ncount, errno = 0, 0\n\
        while True:\n  try: pid = os.fork()\n  except OSError as e: errno = e.errno; break\n\
        \x20 if pid == 0: time.sleep(1000)\n  count += 1\nprint(count, errno, flush=True)\nos.killpg(0, 9)";
    let ended = set_off(&guest, NewExecution::code("python", count).with("timeout", 60)).await?;
    let said = ended.stdout.clone().unwrap_or_default();
    let Some((count, "11")) = said.trim().split_once(' ') else { bail!("EAGAIN was expected: {ended:?}") };
    let count: u64 = count.parse()?;
    ensure!(PROCESSES_MAX / 2 < count && count <= PROCESSES_MAX, "{count} processes were to be had");
    works_again(&guest).await?;
    let bomb = NewExecution::code("bash", "bomb() { bomb | bomb & }; bomb; sleep 1000").with("timeout", 5);
    let ended = set_off(&guest, bomb).await?;
    ensure!(ended.outcome.as_deref() != Some("killed"), "the bomb took the sandbox with it: {ended:?}");
    works_again(&guest).await?;
    guest.gone().await
}

async fn a_thread_bomb_is_bounded(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"memory": "2Gi"})).await?;
    let bomb = "import threading, time, os\nthreading.stack_size(65536)\ncount = 0\n\
        try:\n  while count < 5000:\n    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start(); count += 1\n\
        except RuntimeError: pass\nprint(count, flush=True)\nos._exit(0)";
    let ended = set_off(&guest, NewExecution::code("python", bomb).with("timeout", 60)).await?;
    let count: u64 = ended.ok()?.trim().parse()?;
    ensure!(PROCESSES_MAX / 2 < count && count <= PROCESSES_MAX, "{count} threads were to be had");
    works_again(&guest).await?;
    guest.gone().await
}

async fn open_files_are_bounded(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"memory": "512Mi"})).await?;
    let greedy = "import os\nfiles = []\ntry:\n  while True: files.append(os.open('/dev/null', 0))\n\
        except OSError as e: print(e.errno, len(files))";
    let said = guest.execute(NewExecution::code("python", greedy)).await?.ok()?;
    let Some(("24", count)) = said.trim().split_once(' ') else { bail!("EMFILE was expected: {said:?}") };
    let count: u64 = count.parse()?;
    ensure!((4000..4096).contains(&count), "{count} open files were to be had");
    let raised = guest.execute(NewExecution::code("bash", "ulimit -n 8192")).await?;
    ensure!(raised.exit_code != Some(0), "the limit can be raised: {raised:?}");
    // Pipes and sockets in many processes at once: bounded by the processes, and by memory.
    let many = "import os, socket, time\n\
        for _ in range(40):\n  if os.fork() == 0:\n    kept = []\n    try:\n      while True: kept += [os.pipe(), socket.socketpair()]\n\
        \x20   except OSError: time.sleep(2); os._exit(0)\n\
        for _ in range(40): os.wait()\nprint('bounded')";
    let ended = set_off(&guest, NewExecution::code("python", many).with("timeout", 100)).await?;
    ensure!(["exited", "oom"].contains(&ended.outcome.as_deref().unwrap_or_default()), "{ended:?}");
    if guest.client().sandbox(guest.id()).await?.state != "running" {
        ensure!(ended.outcome.as_deref() == Some("oom"), "{ended:?}");
        return guest.clean().await;
    }
    works_again(&guest).await?;
    guest.gone().await
}

/// All at once; whatever becomes of it, it ends, and nothing is left.
async fn a_bomb_of_everything_leaves_the_neighbour_alone(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"memory": "256Mi", "disk": "32Mi", "cpu": 0.5, "ttl": 60})).await?;
    let bomb = "yes flood & yes flood >&2 & cat /dev/zero > fill & \
        bomb() { bomb | bomb & }; bomb; \
        python3 -c 'x = []\nwhile True: x.append(bytearray(1 << 20))' & \
        for i in $(seq 100000); do : > file-$i; done; wait";
    let ended = set_off(&guest, NewExecution::code("bash", bomb).with("timeout", 8)).await?;
    let outcome = ended.outcome.as_deref().unwrap_or_default();
    ensure!(["timeout", "oom", "exited", "signaled"].contains(&outcome), "{ended:?}");
    let client = guest.client();
    let answer = client.destroy(guest.id()).await?;
    ensure!([200, 404].contains(&answer.status), "{}: {}", answer.status, answer.text());
    guest.clean().await
}
