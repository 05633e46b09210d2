//! A disk without room: for the server, for a sandbox's writes, for an image.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{
    Binaries, Fact, Guest, Missing, NewExecution, Options, Place, Sandbox, Server, commands, detect, eventually,
    skipped,
};
use serde_json::json;

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

#[tokio::test]
async fn an_image_that_does_not_fit_is_not_begun() -> Fact {
    let name = "disk-image";
    if let Some(missing) = detect().await? {
        skipped(name, missing);
        return Ok(());
    }
    let Some(folder) = small_disk(20)? else {
        skipped(name, Missing::SmallDisk);
        return Ok(());
    };
    let built = commands::image_build(&Binaries::find().await?.sentinal, &folder).output();
    let left =
        fs::read_dir(&folder)?.flatten().filter(|entry| entry.metadata().is_ok_and(|meta| meta.len() > 4096)).count();
    Command::new("umount").arg(&folder).status()?;
    fs::remove_dir(&folder)?;
    let (built, said) = built.map(|built| (built.status, String::from_utf8_lossy(&built.stderr).into_owned()))?;
    ensure!(!built.success() && said.contains("space"), "{built}: {said}");
    ensure!(left == 0, "{left} files were left");
    Ok(())
}

#[tokio::test]
async fn a_host_without_an_image_says_how_to_get_one() -> Fact {
    let images = tempfile::tempdir()?;
    let options = Options { images: Some(images.path().to_owned()), ..Options::default() };
    let Some(server) = Server::start("no-image", options).await? else { return Ok(()) };
    let answer = server.client()?.post("/sandbox").json(&json!({})).send().await?;
    ensure!([400, 404, 503].contains(&answer.status), "{}: {}", answer.status, answer.text());
    ensure!(
        answer.text().contains("default") && answer.text().contains("sentinal image build-default"),
        "{}",
        answer.text()
    );
    server.clean().await
}
