//! A server and a node of an ordinary user: native sandboxes only, and weaker ones, but whole. Once where that user is
//! all there is, and once with a range of users that the host has given to them.

use std::{ffi::OsString, os::unix::fs::chown, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{
    Binaries, Fact, Guest, Leaks, Missing, NewExecution, Options, Place, Role, Sandbox, Server, commands, detect_host,
    eventually, find_program, processes, skipped,
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Nobody's on any machine.
const USER: u32 = 54_321;
const FIRST: u32 = 7_000_000;
const ADOPTED: Duration = Duration::from_secs(30);
const FILLED: Duration = Duration::from_mins(1);

/// Becomes the ordinary user, then the command that follows.
const AS_USER: &str = "exec setpriv --reuid 54321 --regid 54321 --clear-groups \"$@\"";
/// Gives the user an account and a range of users, in a mount namespace of its own.
const WITH_RANGE: &str = "
    folder=$(mktemp -d)
    { cat /etc/passwd; echo 'ordinary:x:54321:54321::/:/bin/false'; } > $folder/passwd
    echo ordinary:7000000:65536 > $folder/ranges
    mount --bind $folder/passwd /etc/passwd
    for file in subuid subgid; do [ -e /etc/$file ] || : > /etc/$file; mount --bind $folder/ranges /etc/$file; done
    rm -r $folder";

fn wrapper(script: &str) -> Vec<OsString> {
    let line = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"];
    line.into_iter().map(OsString::from).collect()
}

/// What this machine lacks for an ordinary user.
async fn lacking() -> Result<Option<Missing>> {
    if let Some(missing) = detect_host().await? {
        return Ok(Some(missing));
    }
    let may = |program: &str, arguments: &[&str]| -> Result<bool> {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "54321", "--regid", "54321", "--clear-groups", program]).args(arguments);
        Ok(command.output().context("start setpriv")?.status.success())
    };
    if !may("unshare", &["--user", "--map-root-user", "--mount", "true"])? {
        return Ok(Some(Missing::UserNamespaces));
    }
    let sentinal = Binaries::find().await?.sentinal.display().to_string();
    Ok((!may("test", &["-x", &sentinal])?).then_some(Missing::OpenFolder))
}

async fn server(name: &str, script: &str) -> Result<Option<Server>> {
    if let Some(missing) = lacking().await? {
        skipped(name, missing);
        return Ok(None);
    }
    let place = Place::fresh(name)?;
    chown(place.data_dir(), Some(USER), Some(USER))?;
    let wrapper = wrapper(script);
    let options = Options {
        serve_wrapper: wrapper.clone(),
        node_wrapper: wrapper,
        serve: vec!["--allow-shared-kernel".into()],
        place: Some(place),
        ..Options::default()
    };
    Server::start_regardless(name, options).await.map(Some)
}

/// The shape of every sandbox here.
fn shape() -> Value {
    json!({"engine": "native", "memory": "256Mi", "disk": "64Mi"})
}

async fn programs_run_and_say_how_they_ended(guest: &Guest) -> Fact {
    ensure!(guest.shell("echo out; echo err >&2; exit 7").await?.exit_code == Some(7));
    ensure!(guest.shell("id -u; id -g; pwd").await?.ok()? == "1000\n1000\n/home/user\n");
    ensure!(guest.shell("python3 -c 'print(6 * 7)'; node -e 'console.log(6 * 7)'").await?.ok()? == "42\n42\n");
    guest.client().upload(guest.id(), "/home/user/in", "some text").await?.expect(200)?;
    ensure!(guest.shell("tr a-z A-Z < in > out; cat out").await?.ok()? == "SOME TEXT");
    let out = guest.client().download(guest.id(), "/home/user/out").await?.expect(200)?;
    ensure!(out.text() == "SOME TEXT", "{}", out.text());
    Ok(())
}

async fn limits_hold(guest: &Guest) -> Fact {
    let full = guest.shell("head -c 100M /dev/zero > /tmp/big").await?;
    ensure!(full.exit_code == Some(1) && full.stderr.as_deref().is_some_and(|said| said.contains("No space left")));
    ensure!(guest.shell("stat -c %s /tmp/big; rm /tmp/big").await?.ok()?.trim().parse::<u64>()? <= 64 << 20);
    let bomb = "import os, time\nmade = 0\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(60); os._exit(0)\n    made += 1\nexcept BlockingIOError: print(made, flush=True)\nos.killpg(0, 9)";
    let made: u32 =
        guest.execute(NewExecution::code("python", bomb)).await?.stdout.unwrap_or_default().trim().parse()?;
    ensure!((400..=512).contains(&made), "{made} processes");
    let eaten = guest.shell("python3 -c 'bytearray(300 << 20)'").await?;
    ensure!(eaten.stderr.as_deref().is_some_and(|said| said.contains("MemoryError")), "{eaten:?}");
    ensure!(guest.shell("echo alive").await?.ok()? == "alive\n");
    Ok(())
}

async fn nothing_of_the_host_is_reached(guest: &Guest) -> Fact {
    let status =
        guest.shell("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | cut -f2 | sort -u").await?.ok()?;
    ensure!(status == "0000000000000000\n1\n2\n", "{status}");
    let seen = guest.shell("ls /proc | grep -c '^[0-9]'").await?.ok()?;
    ensure!(seen.trim().parse::<u32>()? <= 6, "{seen} processes");
    for line in [
        "kill -9 1 && sleep 1 && ! echo alive",
        &format!("kill -0 {}", std::process::id()),
        "cat /proc/1/environ",
        "cat /proc/1/mem",
        "mount -t tmpfs none /mnt",
        "unshare --user true",
        "echo x > /.sentinal/agent",
        "touch /.sentinal/host/x",
        "echo x > /proc/sys/kernel/core_pattern",
        "python3 -c 'import socket; socket.create_connection((\"1.1.1.1\", 443), 2)'",
        &format!("ls {}", env!("CARGO_MANIFEST_DIR")),
    ] {
        let tried = guest.shell(line).await?;
        ensure!(tried.exit_code != Some(0), "{line}: {tried:?}");
    }
    ensure!(guest.shell("ls /sys/class/net").await?.ok()? == "lo\n");
    ensure!(guest.shell("echo alive").await?.ok()? == "alive\n");
    Ok(())
}

async fn what_needs_root_is_refused_with_the_reason(server: &Server, guest: &Guest) -> Fact {
    let refused = guest.client().post("/sandbox").json(&json!({"engine": "gvisor"})).send().await?;
    let problem = refused.refused(503, "unavailable")?;
    ensure!(problem.detail.contains("sudo sentinal node"), "{}", problem.detail);
    let problem = guest.pause().await?.refused(501, "not_supported")?;
    ensure!(problem.detail.contains("without root"), "{}", problem.detail);
    ensure!(guest.shell("echo on").await?.ok()? == "on\n");
    let engines: Vec<Value> = server.client()?.list("/engine").await?;
    let native = engines.iter().find(|engine| engine["name"] == "native").context("native is listed")?;
    ensure!(native["version"].as_str().is_some_and(|version| version.contains("unprivileged")), "{native}");
    Ok(())
}

/// Killed with its keeper, and alone.
async fn a_killed_node_finds_its_sandboxes_again(server: &Server, guest: &Guest) -> Fact {
    guest.shell("echo kept > /tmp/kept").await?.ok()?;
    let goes_on = || async {
        ensure!(guest.shell("cat /tmp/kept").await?.ok()? == "kept\n");
        let all: Sandbox = guest.client().sandbox(guest.id()).await?;
        ensure!(all.state == "running", "{all:?}");
        let described: Vec<Value> = guest.client().list("/engine").await?;
        ensure!(described.iter().any(|engine| engine["available"] == true), "no node");
        Ok(())
    };
    Role::kill_worker(server.place().data_dir())?;
    eventually("the next worker", ADOPTED, goes_on).await?;
    server.kill(Role::Node).await?;
    server.launch(Role::Node)?;
    eventually("the next node", ADOPTED, goes_on).await
}

/// Started again with a pool, and then without.
async fn a_pool_hands_out_sandboxes(server: &Server) -> Fact {
    let restarted = async |more: Vec<OsString>| {
        server.kill(Role::Serve).await?;
        server.serve_with(more);
        server.launch(Role::Serve)?;
        server.healthy().await
    };
    restarted(commands::pool("engine=native,memory=256Mi,disk=64Mi,size=1").into()).await?;
    let client = server.client()?;
    let is_filled = || async {
        let ready = client.metric("sentinal_pool_sandboxes{engine=\"native\",state=\"ready\"}").await?;
        ensure!(ready == 1, "{ready} are ready");
        Ok(())
    };
    eventually("a pool that is full", FILLED, is_filled).await.with_context(|| server.place().log_tails())?;
    let guest = Guest::of(server, shape()).await?;
    let reason = guest.sandbox().engine_reason.as_deref();
    ensure!(reason.is_some_and(|reason| reason.contains("warm pool")), "{:?}", guest.sandbox());
    guest.works().await?;
    guest.gone().await?;
    restarted(Vec::new()).await
}

/// Whatever becomes of the creates, nothing of them stays.
async fn a_node_killed_while_it_boots_leaves_nothing(server: &Server) -> Fact {
    for after_ms in [0, 10, 20, 40, 80] {
        let creating = tokio::spawn({
            let client = server.client()?;
            async move { client.post("/sandbox").json(&json!({"engine": "native"})).send().await.map(drop) }
        });
        sleep(Duration::from_millis(after_ms)).await;
        Role::kill_worker(server.place().data_dir())?;
        creating.await??;
    }
    server.sweep().await
}

/// The agents of this user's sandboxes.
fn agents(uid: u32) -> usize {
    let owned = |pid: i32| {
        let folder = std::fs::metadata(format!("/proc/{pid}"));
        // What may not be looked at belongs to root in `/proc`.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        folder.is_ok() && status.lines().any(|line| line.starts_with(&format!("Uid:\t{uid}\t")))
    };
    processes().iter().filter(|process| process.program() == "agent" && owned(process.pid)).count()
}

async fn check(name: &str, script: &str, first_user: u32) -> Fact {
    let Some(server) = server(name, script).await? else { return Ok(()) };
    let guest = Guest::of(&server, shape()).await?;
    ensure!(guest.sandbox().isolation.as_deref() == Some("shared-kernel"));
    ensure!(agents(first_user) == 1, "the agent is user {first_user} on the host");
    programs_run_and_say_how_they_ended(&guest).await?;
    limits_hold(&guest).await?;
    nothing_of_the_host_is_reached(&guest).await?;
    what_needs_root_is_refused_with_the_reason(&server, &guest).await?;
    a_killed_node_finds_its_sandboxes_again(&server, &guest).await?;
    guest.client().destroy(guest.id()).await?.expect(200)?;
    a_pool_hands_out_sandboxes(&server).await?;
    a_node_killed_while_it_boots_leaves_nothing(&server).await?;
    server.clean().await?;
    ensure!(agents(first_user) == 0, "the agent is gone");
    Leaks::of_sandbox(server.place(), guest.id()).none()
}

#[tokio::test]
async fn an_ordinary_user_has_native_sandboxes() -> Fact {
    check("unprivileged-one", AS_USER, USER).await
}

#[tokio::test]
async fn an_ordinary_user_with_a_range_has_sandboxes_with_users_of_their_own() -> Fact {
    if find_program("newuidmap").is_none() {
        skipped("unprivileged-range", Missing::Uidmap);
        return Ok(());
    }
    check("unprivileged-range", &format!("{WITH_RANGE}\n{AS_USER}"), FIRST).await
}
