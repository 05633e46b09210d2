//! Stopping and starting on purpose, as for an upgrade: sandboxes and executions go on.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use sentinal_tests::{Fact, Guest, NewExecution, Options, Role, Server, eventually, soon};
use serde_json::json;

const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// Stops a role as an operator would, and waits until none of its processes is left.
async fn stop(server: &Server, role: Role) -> Result<()> {
    let data_dir = server.place().data_dir();
    role.stop(data_dir)?;
    soon("the end of what was told to stop", STOP_DEADLINE, || {
        let left = role.running(data_dir);
        ensure!(left.is_empty(), "{} is still there", left[0]);
        Ok(())
    })
    .await
}

/// An execution that lasts from before `meanwhile` until after it.
async fn check(name: &str, meanwhile: impl AsyncFnOnce(&Server) -> Result<()>) -> Fact {
    let Some(server) = Server::start(name, Options::default()).await? else { return Ok(()) };
    let guest = Guest::of(&server, json!({})).await?;
    let line = "i=0; while [ ! -e go ]; do i=$((i+1)); echo $i; sleep 0.05; done; echo done; exit 7";
    let line = NewExecution::shell(line).within(guest.id()).with("timeout", 200);
    let started = guest.client().execute_in_background(line).await?;
    meanwhile(&server).await?;
    server.healthy().await?;
    guest.works().await?;
    guest.shell("touch go").await?.ok()?;
    let ended = || async {
        let execution = guest.client().execution(&started.id).await?;
        ensure!(execution.state == "finished", "still {}", execution.state);
        Ok(execution)
    };
    let ended = eventually("the end of the execution", Duration::from_secs(60), ended).await?;
    ensure!(ended.exit_code == Some(7), "{ended:?}");
    let lines = ended.stdout.unwrap_or_default();
    let numbers: Vec<&str> = lines.strip_suffix("done\n").unwrap_or_default().lines().collect();
    let in_order = numbers.iter().enumerate().all(|(index, number)| *number == (index + 1).to_string());
    ensure!(in_order && !numbers.is_empty(), "a hole or a repetition in {lines:?}");
    guest.gone().await?;
    server.clean().await
}

#[tokio::test]
async fn a_server_that_is_stopped_and_started_goes_on_with_everything() -> Fact {
    check("restart-serve", async |server| {
        stop(server, Role::Serve).await?;
        server.launch(Role::Serve)
    })
    .await
}

#[tokio::test]
async fn a_node_that_is_stopped_and_started_goes_on_with_everything() -> Fact {
    check("restart-node", async |server| {
        stop(server, Role::Node).await?;
        server.launch(Role::Node)
    })
    .await
}

#[tokio::test]
async fn a_node_whose_worker_dies_comes_back() -> Fact {
    check("restart-worker", async |server| {
        Role::kill_worker(server.place().data_dir())?;
        server.healthy().await
    })
    .await
}

/// Every folder of this name in the cgroup tree.
fn cgroups_named(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name() == name {
                found.push(entry.path());
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    found
}

#[tokio::test]
async fn what_a_dead_node_left_half_done_is_removed_by_the_next() -> Fact {
    let Some(server) = Server::start("restart-orphans", Options::default()).await? else { return Ok(()) };
    let guest = Guest::of(&server, json!({})).await?;
    let state = server.place().state_dir();
    server.kill(Role::Node).await?;
    let parents = server.place().cgroup_parents();
    let cgroups = parents.iter().flat_map(|parent| cgroups_named(parent));
    let folders = ["gvisor", "instances"].map(|folder| state.join(folder)).into_iter().filter(|folder| folder.is_dir());
    let places: Vec<PathBuf> = cgroups.chain(folders).collect();
    ensure!(places.len() >= 2, "this test looks in the wrong places: {places:?}");
    for (number, place) in places.iter().enumerate() {
        fs::create_dir(place.join(format!("sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f{number:02x}")))?;
    }
    server.launch(Role::Node)?;
    server.healthy().await?;
    guest.works().await?;
    guest.gone().await?;
    server.clean().await
}
