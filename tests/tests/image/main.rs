//! Images of others: brought in, sandboxes made of them, and removed; from archives and from a registry, both of which may
//! be hostile. Each test has a server with a store of images of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod build;
mod registry;
mod space;

use std::{ffi::OsString, fs, path::Path, sync::atomic::Ordering, time::Duration};

use anyhow::{Context, Result, ensure};
use registry::{Image, Registry, root};
use sentinal_tests::{Client, Fact, Guest, Options, Role, Server, Tar, eventually};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(90);

/// A server with an empty store; both folders go with the answer.
async fn server(name: &str, serve: Vec<OsString>) -> Result<Option<(Server, tempfile::TempDir)>> {
    let images = tempfile::tempdir()?;
    let options = Options { images: Some(images.path().join("store")), serve, ..Options::default() };
    Ok(Server::start(name, options).await?.map(|server| (server, images)))
}

async fn import(client: &Client, name: &str, archive: Vec<u8>) -> Result<sentinal_tests::Answer> {
    client
        .post(&format!("/image/import?name={name}"))
        .bytes("application/x-tar", archive)
        .deadline(DEADLINE)
        .send()
        .await
}

fn app() -> Result<Image> {
    let config = json!({"Env": ["GREETING=hello there"], "WorkingDir": "/srv/app", "User": "app", "Cmd": ["sh"]});
    let upper = Tar::default().program("srv/.wh.removed", b"").program("srv/added", b"").end();
    Ok(Image::of(&[root()?.program("srv/removed", b"").end(), upper], &config))
}

/// What is left in a folder, however deep.
fn left(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn an_archive_becomes_an_image_that_sandboxes_are_made_of() -> Fact {
    let Some((server, images)) = server("image-import", Vec::new()).await? else { return Ok(()) };
    let client = server.client()?;
    let archive = app()?.layout();
    let answer = import(&client, "team/app:1", archive.clone()).await?.expect(201)?;
    ensure!(answer.headers.get("location").is_some_and(|at| at == "/api/v1/image/team%2Fapp:1"), "{answer:?}");
    let made: Value = answer.json()?;
    let other: Value = import(&client, "other", archive).await?.expect(201)?.json()?;
    ensure!(made["digest"] == other["digest"], "the same archive makes the same image: {made} {other}");
    let read: Value = client.get("/image/team%2Fapp:1").send().await?.expect(200)?.json()?;
    ensure!(read == made && read["config"]["runs_as_user"] == json!(true), "{read}");
    let listed: Value = client.get("/image?limit=1").send().await?.expect(200)?.json()?;
    ensure!(listed["items"][0]["name"] == "other" && listed["next"] == "other", "{listed}");
    let rest: Value = client.get("/image?limit=1&cursor=other").send().await?.expect(200)?.json()?;
    ensure!(rest["items"][0]["name"] == "team/app:1" && rest["next"].is_null(), "{rest}");

    let guest = Guest::of(&server, json!({"image": "team/app:1"})).await?;
    let said = guest.shell("echo $GREETING; pwd; echo $USER; for f in /srv/*; do echo $f; done").await?;
    ensure!(
        said.stdout.as_deref().unwrap_or_default() == "hello there\n/srv/app\napp\n/srv/added\n/srv/app\n",
        "{said:?}"
    );
    let removed: Value = client.delete("/image/other").send().await?.expect(200)?.json()?;
    ensure!(removed == json!({"digests": [], "bytes": 0}), "only a name: {removed}");
    client.delete("/image/team%2Fapp:1").send().await?.refused(409, "conflict")?;
    client.delete("/image/other").send().await?.refused(404, "not_found")?;
    guest.gone().await?;
    let removed: Value = client.delete("/image/team%2Fapp:1").send().await?.expect(200)?.json()?;
    ensure!(removed["digests"] == json!([made["digest"]]), "{removed}");
    ensure!(left(&images.path().join("store")) == ["names"], "{:?}", left(&images.path().join("store")));
    server.clean().await
}

#[tokio::test]
async fn hostile_archives_leave_nothing() -> Fact {
    let Some((server, images)) = server("image-hostile", Vec::new()).await? else { return Ok(()) };
    let client = server.client()?;
    let mut lying = app()?;
    lying.blobs.values_mut().for_each(|bytes| bytes[0] ^= 1);
    let huge = {
        let mut tar = Tar::default();
        tar.header(b'0', "huge", "", 1 << 32);
        tar.end()
    };
    for (archive, words) in [
        (Tar::default().file("../../../../tmp/evil", b"x").end(), "climbs with"),
        (Tar::default().symlink("a", "/etc").hardlink("a/b", "/etc/shadow").end(), "no file of the image"),
        (Tar::default().entry(b'S', "sparse", "", b"").end(), "a sparse file"),
        (huge, "ends before its last byte"),
        (lying.layout(), "missing in it"),
        (vec![b'x'; 4096], "no tar stream"),
    ] {
        let refused = import(&client, "evil", archive).await?.refused(400, "invalid_request")?;
        ensure!(refused.detail.contains(words), "{words}: {refused:?}");
    }
    for name in ["pull", "sha256:00", "A", "..", ""] {
        import(&client, name, root()?.end()).await?.refused(400, "invalid_request")?;
    }
    client.get("/image/a%2F..%2Fb").send().await?.refused(404, "not_found")?;
    ensure!(left(&images.path().join("store")).is_empty(), "{:?}", left(&images.path().join("store")));
    let work = server.place().data_dir().join("images/work");
    ensure!(left(&work).is_empty(), "{:?}", left(&work));
    // One that has neither a shell nor accounts is an image all the same.
    import(&client, "empty", Tar::default().program("x", b"").end()).await?.expect(201)?;
    Guest::of(&server, json!({"image": "empty"})).await?.gone().await?;
    client.delete("/image/empty").send().await?.expect(200)?;
    server.clean().await
}

async fn job(client: &Client, id: &str) -> Result<Value> {
    client.get(&format!("/image/job/{id}")).send().await?.expect(200)?.json()
}

async fn ended(client: &Client, id: &str, state: &str) -> Result<Value> {
    let look = || async {
        let job = job(client, id).await?;
        ensure!(job["state"] == state, "{job}");
        Ok(job)
    };
    eventually("the end of a pull", DEADLINE, look).await
}

async fn pull(client: &Client, reference: &str) -> Result<Value> {
    let body =
        json!({"reference": reference, "name": "pulled", "credentials": {"username": "ann", "password": "secret"}});
    client.post("/image/pull").json(&body).send().await?.expect(202)?.json()
}

/// A pull that stands still in the middle of a layer.
async fn half_way(client: &Client, reference: &str) -> Result<String> {
    let begun = pull(client, reference).await?;
    let id = begun["id"].as_str().context("an id")?.to_owned();
    let look = || async {
        let job = job(client, &id).await?;
        ensure!(0 < job["bytes_done"].as_u64().unwrap_or(0), "{job}");
        Ok(())
    };
    eventually("a pull that is half-way", DEADLINE, look).await?;
    Ok(id)
}

#[tokio::test]
async fn an_image_is_pulled_and_a_pull_goes_on_where_another_one_ended() -> Fact {
    let (registry, address) = Registry::start(app()?).await?;
    let serve = vec!["--registry".into(), format!("http://{address}").into()];
    let Some((server, images)) = server("image-pull", serve).await? else { return Ok(()) };
    let client = server.client()?;
    let reference = format!("{address}/team/app:1");

    registry.is_stalling.store(true, Ordering::Relaxed);
    let cancelled = half_way(&client, &reference).await?;
    client.delete(&format!("/image/job/{cancelled}")).send().await?.expect(200)?;
    ended(&client, &cancelled, "cancelled").await?;
    let interrupted = half_way(&client, &reference).await?;
    server.kill(Role::Serve).await?;
    fs::create_dir_all(images.path().join("store"))?;
    fs::write(images.path().join("store/.incoming-left"), "half an image")?;
    server.kill(Role::Node).await?;
    server.launch(Role::Node)?;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    let failed = ended(&client, &interrupted, "failed").await?;
    ensure!(failed["error"]["code"] == "unavailable" && failed["finished_at"].is_string(), "{failed}");
    ensure!(!images.path().join("store/.incoming-left").exists(), "half an image was left");

    registry.is_stalling.store(false, Ordering::Relaxed);
    let id = pull(&client, &reference).await?["id"].as_str().context("an id")?.to_owned();
    let done = ended(&client, &id, "finished").await?;
    ensure!(done["bytes_done"] == done["bytes_total"] && done["layers_done"] == 2, "{done}");
    ensure!(!registry.ranges.lock().unwrap().is_empty(), "nothing was gone on with");
    let read: Value = client.get("/image/pulled").send().await?.expect(200)?.json()?;
    ensure!(read["digest"] == done["digest"] && read["source"] == json!(reference), "{read}");
    let guest = Guest::of(&server, json!({"image": "pulled"})).await?;
    ensure!(guest.shell("echo $GREETING").await?.stdout.as_deref() == Some("hello there\n"));
    guest.gone().await?;
    let listed: Value = client.get("/image/job?limit=1").send().await?.expect(200)?.json()?;
    ensure!(listed["items"][0]["id"] == json!(id) && listed["next"] == json!(id), "{listed}");
    let written = fs::read_to_string(server.place().data_dir().join(format!("images/jobs/{id}.json")))?;
    ensure!(!written.contains("secret"), "a password was written down");

    for elsewhere in ["127.0.0.1:1/a/b:1", "169.254.169.254/a:1", "10.0.0.1:5000/a:1"] {
        let body = json!({"reference": elsewhere, "name": "x"});
        client.post("/image/pull").json(&body).send().await?.refused(403, "forbidden")?;
    }
    client
        .post("/image/pull")
        .json(&json!({"reference": "app", "name": "x"}))
        .send()
        .await?
        .refused(400, "invalid_request")?;
    client.delete("/image/pulled").send().await?.expect(200)?;
    ensure!(
        client.post("/image/prune").send().await?.expect(200)?.json::<Value>()? == json!({"digests": [], "bytes": 0})
    );
    server.clean().await
}
