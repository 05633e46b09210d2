//! A disk of images that fills up, and what is told of images that come and go.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Result, ensure};
use sentinal_tests::{Client, Fact, Guest, Missing, Options, Server, eventually, skipped};
use serde_json::{Value, json};

use crate::{import, registry::root};

const MIB: usize = 1 << 20;

/// A small disk; its folder goes with it.
struct Disk(PathBuf);

impl Disk {
    fn new(mib: u32) -> Result<Option<Self>> {
        let folder = tempfile::Builder::new().prefix("snt-").tempdir_in("/var/tmp")?.keep();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "sentinal-tests"]).arg(&folder);
        if mount.status().is_ok_and(|status| status.success()) {
            return Ok(Some(Self(folder)));
        }
        std::fs::remove_dir(&folder)?;
        Ok(None)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
        if gone.is_ok_and(|status| status.success()) {
            let _ = std::fs::remove_dir(&self.0);
        }
    }
}

/// An image of a shell and so many bytes, different for each seed.
async fn bring(client: &Client, name: &str, (mib, seed): (usize, u8)) -> Result<sentinal_tests::Answer> {
    let content: Vec<u8> = (0..mib * MIB).map(|at| seed ^ u8::try_from(at / 4096 % 128).unwrap()).collect();
    import(client, name, root()?.program("content", &content).end()).await
}

fn digest(made: &Value) -> String {
    made["digest"].as_str().unwrap_or_default().trim_start_matches("sha256:").to_owned()
}

#[tokio::test]
async fn images_that_nobody_needs_give_way_and_the_others_stay() -> Fact {
    let name = "image-space";
    let Some(disk) = Disk::new(80)? else {
        skipped(name, Missing::SmallDisk);
        return Ok(());
    };
    let store = disk.0.join("store");
    let serve = vec!["--images-free".into(), "50Mi".into()];
    let options = Options { images: Some(store.clone()), serve, ..Options::default() };
    let Some(server) = Server::start(name, options).await? else { return Ok(()) };
    let client = server.client()?;
    let is_there = |digest: &str| store.join(format!("sha256-{digest}.erofs")).exists();
    let bring = async |name: &str, mib: usize, seed: u8| -> Result<String> {
        Ok(digest(&bring(&client, name, (mib, seed)).await?.expect(201)?.json()?))
    };
    let used = bring("used", 10, 1).await?;
    let guest = Guest::of(&server, json!({"image": "used"})).await?;
    let first = bring("used", 10, 2).await?;
    // One after the other has no name any more; only one of them has no sandbox.
    let second = bring("used", 10, 3).await?;
    ensure!(is_there(&used) && is_there(&first) && is_there(&second), "there is room for three");
    let third = bring("named", 16, 4).await?;
    ensure!(!is_there(&first), "what nobody needed is still there");
    ensure!(is_there(&used) && is_there(&second) && is_there(&third), "what somebody needs is gone");

    let refused = self::bring(&client, "large", (40, 5)).await?.refused(503, "no_capacity")?;
    ensure!(refused.detail.contains("MiB stay free"), "{refused:?}");
    client.get("/image/large").send().await?.refused(404, "not_found")?;
    guest.works().await?;
    guest.gone().await?;
    ensure!(0 < client.metric("sentinal_images_removed_total").await?, "nothing was counted");
    server.clean().await
}

#[tokio::test]
async fn who_did_what_to_which_image_is_told() -> Fact {
    let Some((server, _images)) = crate::server("image-events", Vec::new()).await? else { return Ok(()) };
    let client = server.client()?;
    let made: Value = import(&client, "team/app:1", root()?.end()).await?.expect(201)?.json()?;
    import(&client, "team/app:1", root()?.program("more", b"").end()).await?.expect(201)?;
    client.post("/image/prune").send().await?.expect(200)?;
    client.delete("/image/team%2Fapp:1").send().await?.expect(200)?;
    let look = || async {
        let events: Value = client.get("/events").send().await?.expect(200)?.json()?;
        let events = events["items"].as_array().cloned().unwrap_or_default();
        let types: Vec<_> = events.iter().filter_map(|event| event["type"].as_str()).collect();
        let expected = ["image.imported", "image.imported", "images.pruned", "image.removed"];
        ensure!(types == expected, "{types:?}");
        Ok(events)
    };
    let events = eventually("four events", Duration::from_secs(20), look).await?;
    let first = events[0]["message"].as_str().unwrap_or_default();
    ensure!(first.contains("team/app:1") && first.contains(&digest(&made)) && first.contains("by key_"), "{first}");
    let logs: Value = client.get("/logs?kind=audit").send().await?.expect(200)?.json()?;
    ensure!(logs["items"].as_array().is_some_and(|all| all.len() == 4), "{logs}");
    server.clean().await
}
