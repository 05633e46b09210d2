//! The bounds of a sandbox, tried from inside; its neighbour does not notice.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use sentinal_tests::{Fact, NewExecution, eventually, guest};
use serde_json::json;

#[tokio::test]
async fn a_full_disk_is_an_error_inside_and_the_sandbox_survives() -> Fact {
    let Some(guest) = guest(json!({"disk": "64Mi"})).await? else { return Ok(()) };
    let fill = guest.shell("head -c 200000000 /dev/zero > big; echo status $?; wc -c < big").await?;
    ensure!(fill.stderr.as_ref().is_some_and(|said| said.contains("No space left on device")), "{fill:?}");
    let written: u64 = fill.stdout.unwrap_or_default().lines().last().unwrap_or_default().parse()?;
    ensure!(30_000_000 < written && written <= 64 << 20, "{written} bytes went on a disk of 64Mi");
    guest.works().await?;
    let upload = guest.client().upload(guest.id(), "/home/user/more", vec![1; 8 << 20]).await?;
    ensure!(400 <= upload.status && upload.status != 500, "{}: {}", upload.status, upload.text());
    guest.shell("rm big && echo fits > small && cat small").await?.ok()?;
    guest.client().upload(guest.id(), "/home/user/more", vec![1; 1 << 20]).await?.expect(200)?;
    guest.gone().await
}

#[tokio::test]
async fn a_fork_bomb_is_bounded_and_a_neighbour_unharmed() -> Fact {
    // With so much memory it is the number of processes that bounds it.
    let Some(guest) = guest(json!({"memory": "2Gi"})).await? else { return Ok(()) };
    let Some(neighbour) = sentinal_tests::guest(json!({})).await? else { return Ok(()) };
    let bomb = "bomb() { bomb | bomb & }; bomb; sleep 1000";
    let bomb = NewExecution::code("bash", bomb).within(guest.id()).with("timeout", 4);
    let bomb = guest.client().execute_in_background(bomb).await?;
    neighbour.works().await?;
    let ended = || async {
        let bomb = guest.client().execution(&bomb.id).await?;
        ensure!(bomb.state == "finished", "still {}", bomb.state);
        Ok(bomb)
    };
    let ended = eventually("the end of a fork bomb", Duration::from_secs(60), ended).await?;
    ensure!(ended.outcome.as_deref() != Some("killed"), "the bomb took the sandbox with it: {ended:?}");
    neighbour.works().await?;
    neighbour.gone().await?;
    // On a machine that is busy with other things the agent may not get to end it in time, and is given up.
    let given_up = || async {
        let sandbox = guest.client().sandbox(guest.id()).await?;
        anyhow::Ok(sandbox.outcome.as_deref() == Some("agent_silent"))
    };
    let works_or_given_up = || async {
        match guest.works().await {
            Err(error) if !given_up().await? => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    };
    eventually("a sandbox that works again", Duration::from_secs(30), works_or_given_up).await?;
    if given_up().await? { guest.clean().await } else { guest.gone().await }
}

#[tokio::test]
async fn processes_and_open_files_are_bounded() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let limits =
        guest.execute(NewExecution::code("bash", "ulimit -u; ulimit -n; ulimit -Hu; ulimit -Hn")).await?.ok()?;
    ensure!(limits == "512\n4096\n512\n4096\n", "{limits:?}");
    let greedy = "import sys\nfiles = []\ntry:\n  while True: files.append(open('/dev/null'))\nexcept OSError as e: print(e.errno, len(files) < 4096)";
    ensure!(guest.execute(NewExecution::code("python", greedy)).await?.ok()? == "24 True\n", "EMFILE below the limit");
    guest.gone().await
}

#[tokio::test]
async fn a_sandbox_gets_no_more_cpu_than_it_asked_for() -> Fact {
    let Some(guest) = guest(json!({"cpu": 0.5})).await? else { return Ok(()) };
    let (begun, before) = (Instant::now(), cpu_used(guest.id())?);
    guest.execute(NewExecution::shell("while :; do :; done & while :; do :; done").with("timeout", 2.5)).await?;
    let used = cpu_used(guest.id())?.saturating_sub(before).as_secs_f64();
    let allowed = begun.elapsed().as_secs_f64() / 2.0 + 0.3;
    ensure!(0.1 < used && used < allowed, "{used:.2} s of cpu; {allowed:.2} s would be half a core");
    guest.gone().await
}

/// What the host has counted for the sandbox's cgroup, on cgroup v1 or v2.
fn cpu_used(id: &str) -> Result<Duration> {
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        if folder.ends_with(id) {
            if let Ok(nanos) = fs::read_to_string(folder.join("cpuacct.usage")) {
                return Ok(Duration::from_nanos(nanos.trim().parse()?));
            }
            let stat = fs::read_to_string(folder.join("cpu.stat")).unwrap_or_default();
            if let Some(micros) = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")) {
                return Ok(Duration::from_micros(micros.parse()?));
            }
        }
        let inside = fs::read_dir(&folder).into_iter().flatten().flatten();
        folders
            .extend(inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()));
    }
    bail!("no cgroup of {id} counts its cpu")
}
