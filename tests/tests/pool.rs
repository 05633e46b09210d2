//! Warm pools: a sandbox that was booted before anybody asked is its caller's alone, and like any other.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use sentinal_tests::{
    Binaries, Client, Fact, Guest, NewExecution, Options, Role, Sandbox, Server, commands, eventually, processes, soon,
};
use serde_json::{Value, json};

/// Boots on a busy machine, one after the other.
const FILL_DEADLINE: Duration = Duration::from_mins(3);

/// What a create must ask for to be served from [`pool`].
fn shape() -> Value {
    json!({"engine": "gvisor", "memory": "256Mi", "disk": "64Mi"})
}

/// A pool of that shape.
fn pool(size: usize) -> Vec<OsString> {
    commands::pool(&format!("engine=gvisor,memory=256Mi,disk=64Mi,size={size}")).into()
}

async fn server(name: &str, size: usize) -> Result<Option<Server>> {
    let options = Options { serve: pool(size), ..Options::default() };
    let Some(server) = Server::start(name, options).await? else { return Ok(None) };
    filled(&server, size).await?;
    Ok(Some(server))
}

async fn figure(client: &Client, name: &str, label: &str, value: &str) -> Result<u64> {
    client.metric(&format!("{name}{{engine=\"gvisor\",{label}=\"{value}\"}}")).await
}

/// Waits until so many sandboxes are ready.
async fn filled(server: &Server, size: usize) -> Result<()> {
    let client = server.client()?;
    let look = || async {
        let ready = figure(&client, "sentinal_pool_sandboxes", "state", "ready").await?;
        ensure!(ready == u64::try_from(size)?, "{ready} are ready");
        Ok(())
    };
    eventually("a pool that is full", FILL_DEADLINE, look).await.with_context(|| server.place().log_tails())?;
    server.place().learn_cgroups();
    Ok(())
}

/// Every sandbox that the node has something of.
fn on_node(server: &Server) -> BTreeSet<String> {
    let folders = fs::read_dir(server.place().state_dir().join("instances"));
    let names = folders.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with("sbx_")).collect()
}

fn is_warm(sandbox: &Sandbox) -> bool {
    sandbox.engine_reason.as_deref().is_some_and(|reason| reason.contains("warm pool"))
}

async fn warm(server: &Server, fields: Value) -> Result<Guest> {
    let mut spec = shape();
    if let (Value::Object(spec), Value::Object(fields)) = (&mut spec, fields) {
        spec.extend(fields);
    }
    let guest = Guest::of(server, spec).await?;
    ensure!(is_warm(guest.sandbox()), "not from the pool: {:?}", guest.sandbox());
    Ok(guest)
}

/// The end of a server with a pool: started again without one, it has nothing left on the host.
async fn drained(server: &Server) -> Fact {
    server.kill(Role::Serve).await?;
    server.launch_with(Role::Serve, &[])?;
    server.healthy().await?;
    server.clean().await.with_context(|| server.place().log_tails())
}

#[tokio::test]
async fn a_create_that_fits_is_served_from_the_pool_and_any_other_is_not() -> Fact {
    let Some(server) = server("pool-hit", 1).await? else { return Ok(()) };
    let waiting = on_node(&server);
    let guest = warm(&server, json!({"labels": {"who": "me"}})).await?;
    ensure!(waiting.contains(guest.id()), "{} is none of {waiting:?}", guest.id());
    ensure!(guest.sandbox().labels.get("who").map(String::as_str) == Some("me"), "{:?}", guest.sandbox());
    guest.works().await?;
    let other = Guest::of(&server, json!({"memory": "128Mi", "disk": "64Mi"})).await?;
    ensure!(!is_warm(other.sandbox()), "{:?}", other.sandbox());
    let hits = figure(guest.client(), "sentinal_pool_claims_total", "result", "hit").await?;
    let misses = figure(guest.client(), "sentinal_pool_claims_total", "result", "miss").await?;
    ensure!((hits, misses) == (1, 0), "{hits} hits and {misses} misses");
    // The pool has refilled itself, with one that is not the other two's.
    filled(&server, 1).await?;
    ensure!(on_node(&server).len() == 3, "{:?}", on_node(&server));
    guest.gone().await?;
    other.gone().await?;
    drained(&server).await
}

#[tokio::test]
async fn a_claimed_sandbox_is_like_one_that_was_booted_for_its_caller() -> Fact {
    let Some(server) = server("pool-fresh", 2).await? else { return Ok(()) };
    let client = server.client()?;
    let cold = Guest::of(&server, json!({"memory": "128Mi", "disk": "64Mi"})).await?;
    let guest = warm(&server, json!({"ttl": 600})).await?;
    // Booted before the other, created after it.
    ensure!(guest.id() < cold.id(), "{} was not booted before {}", guest.id(), cold.id());
    ensure!(cold.sandbox().created_at <= guest.sandbox().created_at, "{:?} {:?}", cold.sandbox(), guest.sandbox());
    let listed: Vec<Sandbox> = client.list("/sandbox?limit=1").await?;
    let ids: Vec<&str> = listed.iter().map(|sandbox| sandbox.id.as_str()).collect();
    ensure!(ids == [guest.id(), cold.id()], "{ids:?}");
    let look = "cat /proc/sys/kernel/hostname; ls -A /tmp /home/user; id -u; pwd";
    let (mine, others) = (guest.shell(look).await?.ok()?, cold.shell(look).await?.ok()?);
    // The name of the host is made of the id.
    let after_name = |text: &str| text.split_once('\n').map(|(name, rest)| (name.len(), rest.to_owned()));
    ensure!(after_name(&mine) == after_name(&others), "{mine:?} is not like {others:?}");
    let clocks = guest.shell("date +%s").await?.ok()?.trim().parse::<i64>()?;
    let host = cold.shell("date +%s").await?.ok()?.trim().parse::<i64>()?;
    ensure!((0..60).contains(&(host - clocks)), "its clock says {clocks}, the other {host}");
    client.upload(guest.id(), "/home/user/main.py", "import os; print(os.environ['NAME'])").await?.expect(200)?;
    let run = NewExecution::shell("python3 main.py").with("env", json!({"NAME": "value"}));
    ensure!(guest.execute(run).await?.ok()? == "value\n", "environment and files come after the claim");
    let logs = client.get(&format!("/logs?sandbox_id={}&kind=audit", guest.id())).send().await?.expect(200)?.text();
    ensure!(logs.matches("Sandbox Created").count() == 1, "{logs}");
    guest.gone().await?;
    cold.gone().await?;
    drained(&server).await
}

#[tokio::test]
async fn nobody_sees_or_reaches_a_sandbox_that_is_not_claimed() -> Fact {
    let Some(server) = server("pool-nobody", 1).await? else { return Ok(()) };
    let client = server.client()?;
    let waiting = on_node(&server);
    let id = waiting.first().context("a sandbox that waits")?;
    client.get(&format!("/sandbox/{id}")).send().await?.refused(404, "not_found")?;
    client.destroy(id).await?.refused(404, "not_found")?;
    let run = NewExecution::shell("true").within(id);
    client.post("/execute").json(run.as_json()).send().await?.refused(404, "not_found")?;
    client.upload(id, "/home/user/a", "b").await?.refused(404, "not_found")?;
    client.download(id, "/etc/passwd").await?.refused(404, "not_found")?;
    let listed: Vec<Sandbox> = client.list("/sandbox").await?;
    ensure!(listed.is_empty(), "{listed:?}");
    let logs = client.get("/logs").send().await?.expect(200)?.text();
    ensure!(!logs.contains(id.as_str()), "{logs}");
    let counted = client.metric("sentinal_controller_sandboxes{state=\"running\",engine=\"gvisor\"}").await?;
    ensure!(counted == 0, "{counted} sandboxes are counted as somebody's");
    ensure!(on_node(&server) == waiting, "it is still there, and the only one");
    drained(&server).await
}

/// More than the pool has, all at once: the first get what is there, the others are booted.
#[tokio::test]
async fn a_burst_is_served_from_the_pool_as_far_as_it_goes() -> Fact {
    let Some(server) = server("pool-burst", 4).await? else { return Ok(()) };
    let client = server.client()?;
    let spec = shape();
    let created = futures::future::try_join_all((0..8).map(|_| client.create(&spec))).await?;
    let ids: BTreeSet<&str> = created.iter().map(|sandbox| sandbox.id.as_str()).collect();
    ensure!(ids.len() == 8, "one sandbox for two: {ids:?}");
    let warm = created.iter().filter(|sandbox| is_warm(sandbox)).count();
    ensure!(4 <= warm, "only {warm} of 8 came from a pool of 4");
    let say = |sandbox: &Sandbox| {
        let line = NewExecution::shell(&format!("cat mark 2>/dev/null; echo {0} | tee mark", sandbox.id));
        let (client, id) = (client.clone(), sandbox.id.clone());
        async move { Ok::<_, anyhow::Error>((client.execute(&line.within(&id)).await?.ok()?, id)) }
    };
    for (said, id) in futures::future::try_join_all(created.iter().map(say)).await? {
        ensure!(said == format!("{id}\n"), "{id} says {said:?}");
    }
    filled(&server, 4).await?;
    for sandbox in &created {
        client.destroy(&sandbox.id).await?.expect(200)?;
    }
    let one_shots = (0..6).map(|number| {
        let mut body = shape();
        body["command"] = format!("echo {number}").into();
        let client = client.clone();
        async move {
            let answer = client.post("/execute").json(&body).send().await?.expect(200)?;
            let execution: sentinal_tests::Execution = answer.json()?;
            ensure!(execution.ok()? == format!("{number}\n"), "{execution:?}");
            Ok(())
        }
    });
    futures::future::try_join_all(one_shots).await?;
    drained(&server).await
}

/// Whatever the server was doing when it was killed: a sandbox is the pool's or one caller's.
#[tokio::test]
async fn a_server_that_is_killed_between_claims_hands_nothing_out_twice() -> Fact {
    let Some(server) = server("pool-kill", 3).await? else { return Ok(()) };
    let client = server.client()?;
    let mut answered = BTreeSet::new();
    for round in 0..4 {
        filled(&server, 3).await?;
        let creates = futures::future::join_all((0..3).map(|_| {
            let client = client.clone();
            async move { client.create(&shape()).await }
        }));
        let kill = async {
            tokio::time::sleep(Duration::from_millis(round * 4)).await;
            server.kill(Role::Serve).await
        };
        let (created, killed) = tokio::join!(creates, kill);
        killed?;
        for sandbox in created.into_iter().flatten() {
            ensure!(answered.insert(sandbox.id.clone()), "{} was handed out twice", sandbox.id);
        }
        server.launch(Role::Serve)?;
        server.healthy().await?;
        // What was answered is its caller's and works, once the server has found it again.
        for id in &answered {
            let said = client.execute(&NewExecution::shell("echo alive").within(id)).await?.ok()?;
            ensure!(said == "alive\n", "{id}: {said:?}");
        }
        let listed: Vec<Sandbox> = client.list("/sandbox").await?;
        let running: Vec<&Sandbox> = listed.iter().filter(|sandbox| sandbox.state == "running").collect();
        ensure!(answered.iter().all(|id| running.iter().any(|sandbox| sandbox.id == *id)), "{listed:?}");
        for sandbox in listed.iter().filter(|sandbox| ["running", "pending"].contains(&sandbox.state.as_str())) {
            client.destroy(&sandbox.id).await?.expect(200)?;
        }
        answered.clear();
    }
    drained(&server).await
}

#[tokio::test]
async fn what_waits_survives_a_restart_of_server_and_node_and_is_claimed_then() -> Fact {
    let Some(server) = server("pool-restart", 2).await? else { return Ok(()) };
    let before = on_node(&server);
    server.kill(Role::Serve).await?;
    server.kill(Role::Node).await?;
    server.launch(Role::Node)?;
    server.launch(Role::Serve)?;
    server.healthy().await?;
    filled(&server, 2).await?;
    ensure!(on_node(&server) == before, "{:?} instead of {before:?}", on_node(&server));
    // The one that has waited longest comes first.
    for id in &before {
        let guest = warm(&server, json!({})).await?;
        ensure!(guest.id() == id, "{} came before {id}", guest.id());
        guest.works().await?;
        guest.gone().await?;
    }
    drained(&server).await
}

/// The end of one that waits is found out before or at its claim; the caller gets another one.
#[tokio::test]
async fn one_that_dies_in_the_pool_is_not_handed_out() -> Fact {
    let Some(server) = server("pool-dead", 2).await? else { return Ok(()) };
    let waiting = on_node(&server);
    let theirs: Vec<_> = processes().into_iter().filter(|it| waiting.iter().any(|id| it.names(id))).collect();
    theirs.iter().try_for_each(|process| process.kill(Signal::KILL))?;
    soon("the end of what was killed", FILL_DEADLINE, || {
        let left = processes().into_iter().find(|process| theirs.iter().any(|it| it.pid == process.pid));
        ensure!(left.is_none(), "{left:?} is still there");
        Ok(())
    })
    .await?;
    let guest = Guest::of(&server, shape()).await?;
    ensure!(!waiting.contains(guest.id()), "{} was dead", guest.id());
    guest.works().await?;
    guest.gone().await?;
    filled(&server, 2).await?;
    ensure!(on_node(&server).is_disjoint(&waiting), "the dead are replaced");
    drained(&server).await
}

/// Another image or agent under the same name: what was booted from the one before is never handed out.
async fn check_rebuilt(name: &str, options: Options, change: impl FnOnce() -> Result<()>) -> Fact {
    let options = Options { serve: pool(2), ..options };
    let Some(server) = Server::start(name, options).await? else { return Ok(()) };
    filled(&server, 2).await?;
    let before = on_node(&server);
    change()?;
    soon("a pool without what is out of date", FILL_DEADLINE, || {
        let left: Vec<_> = on_node(&server).intersection(&before).cloned().collect();
        ensure!(left.is_empty(), "{left:?} are still there");
        Ok(())
    })
    .await?;
    filled(&server, 2).await?;
    let guest = warm(&server, json!({})).await?;
    ensure!(!before.contains(guest.id()), "{} was booted from what is gone", guest.id());
    guest.works().await?;
    guest.gone().await?;
    drained(&server).await
}

/// A store of one's own with the default image under another digest each time it is asked for.
fn store_of(images: &Path, folder: &Path, digit: char) -> Result<()> {
    let manifest = fs::read_to_string(images.join("names/default.json"))?;
    let (_, rest) = manifest.split_once("\"digest\": \"sha256:").context("the digest in the manifest")?;
    let digest = rest.get(..64).context("64 digits")?;
    let other: String = std::iter::repeat_n(digit, 64).collect();
    let (file, fresh) = (images.join(format!("sha256-{digest}.erofs")), folder.join(format!("sha256-{other}.erofs")));
    fs::hard_link(&file, &fresh).or_else(|_| fs::copy(&file, &fresh).map(drop))?;
    fs::create_dir_all(folder.join("names"))?;
    let new = folder.join("names/.new");
    fs::write(&new, manifest.replace(digest, &other))?;
    Ok(fs::rename(new, folder.join("names/default.json"))?)
}

#[tokio::test]
async fn a_pool_is_rebuilt_when_its_image_has_changed() -> Fact {
    let images = &Binaries::find().await?.images;
    if !images.join("names/default.json").exists() {
        Binaries::find().await?.build_image().await?;
    }
    let folder = tempfile::tempdir_in("/var/tmp")?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    store_of(images, folder.path(), '1')?;
    let options = Options { images: Some(folder.path().to_owned()), ..Options::default() };
    check_rebuilt("pool-image", options, || store_of(images, folder.path(), '2')).await
}

#[tokio::test]
async fn a_pool_is_rebuilt_when_the_agent_has_changed() -> Fact {
    let folder = tempfile::tempdir_in("/var/tmp")?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let agent: PathBuf = folder.path().join("sentinal-agent");
    fs::copy(&Binaries::find().await?.agent, &agent)?;
    let change = || {
        let fresh = folder.path().join("fresh");
        // Bytes after the end of a program change nothing but its digest.
        let program = [fs::read(&agent)?, b"another build".to_vec()].concat();
        fs::write(&fresh, program)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
        Ok(fs::rename(fresh, &agent)?)
    };
    check_rebuilt("pool-agent", Options { agent: Some(agent.clone()), ..Options::default() }, change).await
}

#[tokio::test]
async fn a_pool_that_is_not_one_is_an_error_at_the_start() -> Fact {
    let binaries = Binaries::find().await?;
    for (pool, words) in [
        ("gvisor", "write a pool as"),
        ("gvisor=0", "out of range"),
        ("engine=gvisor,size=1,colour=red", "colour"),
        ("native=1", "minimum-isolation"),
    ] {
        let mut command = std::process::Command::new(&binaries.sentinal);
        let output = command.args(["serve", "--listen", "127.0.0.1:0", "--pool", pool]).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success() && said.contains(words), "{pool}: {said}");
    }
    Ok(())
}
