//! Hosts that lack something: room on the disk, `runsc`, a `runsc` that is new enough or that answers. What is missing
//! is named, nothing is half done, and the server goes on.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{
    Fact, Guest, Missing, NewExecution, Options, Place, Problem, Role, Sandbox, Server, commands, eventually, skipped,
};
use serde_json::json;

/// A probe may take its whole deadline.
const PROBE_DEADLINE: Duration = Duration::from_secs(45);

/// A server whose node uses this program as `runsc`, and the folder that has to outlive it.
async fn with_runsc(name: &str, script: Option<&str>) -> Result<Option<(Server, tempfile::TempDir)>> {
    let folder = tempfile::tempdir()?;
    let runsc = folder.path().join("runsc");
    if let Some(script) = script {
        fs::write(&runsc, script)?;
        fs::set_permissions(&runsc, fs::Permissions::from_mode(0o755))?;
    }
    let options = Options { node: commands::runsc(&runsc).into(), ..Options::default() };
    let Some(server) = Server::prepare(name, options).await? else { return Ok(None) };
    server.launch(Role::Node)?;
    server.launch(Role::Serve)?;
    server.answering().await?;
    Ok(Some((server, folder)))
}

/// Creates are refused with 503, and the reason why gVisor cannot be used.
async fn create_is_unavailable(server: &Server, engine: &str, reason: &[&str]) -> Result<Problem> {
    let client = server.client()?;
    let ask = || async {
        let answer = client.post("/sandbox").json(&json!({"engine": engine})).send().await?;
        let problem = answer.refused(503, "unavailable")?;
        for word in reason {
            ensure!(problem.detail.contains(word), "{:?} does not say {word:?}", problem.detail);
        }
        Ok(problem)
    };
    eventually("a refusal with the probe's reason", PROBE_DEADLINE, ask)
        .await
        .with_context(|| server.place().log_tails())
}

async fn check(name: &str, script: Option<&str>, reason: &[&str]) -> Fact {
    let Some((server, _folder)) = with_runsc(name, script).await? else { return Ok(()) };
    create_is_unavailable(&server, "gvisor", reason).await?;
    let auto = create_is_unavailable(&server, "auto", reason).await?;
    ensure!(
        auto.detail.contains("gvisor") && auto.detail.contains("firecracker"),
        "a reason per engine: {}",
        auto.detail
    );
    let one_shot = json!({"command": "true"});
    server.client()?.post("/execute").json(&one_shot).send().await?.refused(503, "unavailable")?;
    server.clean().await
}

#[tokio::test]
async fn a_missing_runsc_is_the_reason_of_every_refusal() -> Fact {
    check("runsc-missing", None, &["runsc", "not installed"]).await
}

#[tokio::test]
async fn a_runsc_that_is_too_old_is_told_its_version() -> Fact {
    let script = "#!/bin/sh\necho 'runsc version release-20190529.1-194-gf0cd7b1'; echo 'spec: 1.0.1-dev'";
    check("runsc-old", Some(script), &["runsc", "too old"]).await
}

#[tokio::test]
async fn a_runsc_that_hangs_is_given_up() -> Fact {
    check("runsc-hangs", Some("#!/bin/sh\nexec sleep 1000"), &["did not finish"]).await
}

#[tokio::test]
async fn a_runsc_that_fails_is_quoted() -> Fact {
    let script =
        "#!/bin/sh\ncase \"$*\" in *version*) exec runsc --version;; esac\necho 'broken on purpose' >&2; exit 1";
    check("runsc-fails", Some(script), &["broken on purpose"]).await
}

/// A small disk at a path that is short enough for sockets.
fn small_disk(mib: u32) -> Result<Option<PathBuf>> {
    let folder = tempfile::Builder::new().prefix("snt-").tempdir_in("/var/tmp")?.keep();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "sentinal-tests"]).arg(&folder);
    if mount.status().is_ok_and(|status| status.success()) {
        return Ok(Some(folder));
    }
    fs::remove_dir(&folder)?;
    Ok(None)
}

fn fill(file: &Path, mib_free: u64) -> Result<()> {
    let free = rustix::fs::statvfs(file.parent().context("a file in a folder")?)?;
    let bytes = (free.f_bavail * free.f_frsize).saturating_sub(mib_free << 20);
    let file = fs::File::create(file)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).context("fill the disk")
}

#[tokio::test]
async fn a_host_without_disk_space_refuses_sandboxes_and_takes_them_again_when_there_is_some() -> Fact {
    let name = "disk-full";
    let Some(folder) = small_disk(400)? else {
        skipped(name, Missing::SmallDisk);
        return Ok(());
    };
    let options = Options { place: Some(Place::at(name, folder.clone())?), ..Options::default() };
    let Some(server) = Server::start(name, options).await? else { return Ok(()) };
    let guest = Guest::of(&server, json!({"disk": "64Mi"})).await?;
    let filler = folder.join("filler");
    fill(&filler, 6)?;
    let client = server.client()?;
    let refused = || async {
        let answer = client.post("/sandbox").json(&json!({"disk": "64Mi"})).send().await?;
        if answer.status == 201 {
            client.destroy(&answer.json::<Sandbox>()?.id).await?.expect(200)?;
        }
        ensure!(answer.refused(503, "no_capacity")?.detail.contains("disk"), "{}", answer.text());
        Ok(())
    };
    eventually("a refusal for want of disk space", Duration::from_secs(20), refused).await?;
    guest.works().await.context("a sandbox that was there before")?;
    fs::remove_file(&filler)?;
    fill(&filler, 0)?;
    for body in [json!({"disk": "64Mi"}), json!({})] {
        let answer = client.post("/sandbox").json(&body).send().await?;
        ensure!(answer.status == 503, "on a full disk: {}: {}", answer.status, answer.text());
    }
    let execute = NewExecution::shell("true").within(guest.id());
    let answer = client.post("/execute").json(execute.as_json()).send().await?;
    ensure!([200, 503].contains(&answer.status), "on a full disk: {}: {}", answer.status, answer.text());
    fs::remove_file(&filler)?;
    let again = || async { Guest::of(&server, json!({"disk": "64Mi"})).await };
    eventually("room again", Duration::from_secs(60), again).await?.gone().await?;
    guest.works().await?;
    guest.gone().await?;
    server.clean().await
}

#[tokio::test]
async fn a_program_that_fills_its_disk_does_not_fill_the_hosts() -> Fact {
    let name = "disk-layer";
    let Some(folder) = small_disk(300)? else {
        skipped(name, Missing::SmallDisk);
        return Ok(());
    };
    let options = Options { place: Some(Place::at(name, folder)?), ..Options::default() };
    let Some(server) = Server::start(name, options).await? else { return Ok(()) };
    let Ok(guest) = Guest::of(&server, json!({"disk": "2Gi"})).await else {
        // Refusing what the disk could never hold is as good.
        return server.clean().await;
    };
    let fill = NewExecution::shell("head -c 1000000000 /dev/zero > big; echo $?");
    let filled = guest.execute(fill).await.context("an answer, whatever it is")?;
    ensure!(filled.outcome.is_some(), "{filled:?}");
    server.client()?.get("/sandbox").send().await?.expect(200)?;
    guest.client().destroy(guest.id()).await?;
    guest.clean().await?;
    server.clean().await
}
