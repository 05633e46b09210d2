//! A server and a node of an ordinary user: native sandboxes only, and weaker ones, but whole. Once where that user is
//! all there is, and once with a range of users that the host has given to them.

use std::{ffi::OsString, os::unix::fs::chown, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{
    Binaries, Client, Execution, Fact, Leaks, Missing, NewExecution, Options, Place, Role, Sandbox, Server,
    detect_host, eventually, find_program, processes, skipped,
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Nobody's on any machine.
const USER: u32 = 54_321;
const FIRST: u32 = 7_000_000;
const ADOPTED: Duration = Duration::from_secs(30);

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

/// A sandbox on a server.
struct Guest {
    client: Client,
    sandbox: Sandbox,
}

impl Guest {
    async fn of(server: &Server) -> Result<Self> {
        let client = server.client()?;
        let spec = json!({"engine": "native", "memory": "256Mi", "disk": "64Mi"});
        let sandbox = client.create(&spec).await.with_context(|| server.place().log_tails())?;
        Ok(Self { client, sandbox })
    }

    async fn shell(&self, line: &str) -> Result<Execution> {
        self.client.execute(&NewExecution::shell(line).within(&self.sandbox.id)).await
    }

    /// What a line says that ends well.
    async fn says(&self, line: &str) -> Result<String> {
        self.shell(line).await?.ok()
    }
}

async fn programs_run_and_say_how_they_ended(guest: &Guest) -> Fact {
    ensure!(guest.shell("echo out; echo err >&2; exit 7").await?.exit_code == Some(7));
    ensure!(guest.says("id -u; id -g; pwd").await? == "1000\n1000\n/home/user\n");
    ensure!(guest.says("python3 -c 'print(6 * 7)'; node -e 'console.log(6 * 7)'").await? == "42\n42\n");
    guest.client.upload(&guest.sandbox.id, "/home/user/in", "some text").await?.expect(200)?;
    ensure!(guest.says("tr a-z A-Z < in > out; cat out").await? == "SOME TEXT");
    let out = guest.client.download(&guest.sandbox.id, "/home/user/out").await?.expect(200)?;
    ensure!(out.text() == "SOME TEXT", "{}", out.text());
    Ok(())
}

async fn limits_hold(guest: &Guest) -> Fact {
    let full = guest.shell("head -c 100M /dev/zero > /tmp/big").await?;
    ensure!(full.exit_code == Some(1) && full.stderr.as_deref().is_some_and(|said| said.contains("No space left")));
    ensure!(guest.says("stat -c %s /tmp/big; rm /tmp/big").await?.trim().parse::<u64>()? <= 64 << 20);
    let bomb = "import os, time\nmade = 0\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(60); os._exit(0)\n    made += 1\nexcept BlockingIOError: print(made, flush=True)\nos.killpg(0, 9)";
    let bomb = NewExecution::code("python", bomb).within(&guest.sandbox.id);
    let made: u32 = guest.client.execute(&bomb).await?.stdout.unwrap_or_default().trim().parse()?;
    ensure!((400..=512).contains(&made), "{made} processes");
    let eaten = guest.shell("python3 -c 'bytearray(300 << 20)'").await?;
    ensure!(eaten.stderr.as_deref().is_some_and(|said| said.contains("MemoryError")), "{eaten:?}");
    ensure!(guest.says("echo alive").await? == "alive\n");
    Ok(())
}

async fn nothing_of_the_host_is_reached(guest: &Guest) -> Fact {
    let status = guest.says("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | cut -f2 | sort -u").await?;
    ensure!(status == "0000000000000000\n1\n2\n", "{status}");
    let seen = guest.says("ls /proc | grep -c '^[0-9]'").await?;
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
    ensure!(guest.says("ls /sys/class/net").await? == "lo\n");
    ensure!(guest.says("echo alive").await? == "alive\n");
    Ok(())
}

async fn what_needs_root_is_refused_with_the_reason(server: &Server, guest: &Guest) -> Fact {
    let refused = guest.client.post("/sandbox").json(&json!({"engine": "gvisor"})).send().await?;
    let problem = refused.refused(503, "unavailable")?;
    ensure!(problem.detail.contains("sudo sentinal node"), "{}", problem.detail);
    let pause = format!("/sandbox/{}/pause", guest.sandbox.id);
    let problem = guest.client.post(&pause).send().await?.refused(501, "not_supported")?;
    ensure!(problem.detail.contains("without root"), "{}", problem.detail);
    ensure!(guest.says("echo on").await? == "on\n");
    let engines: Vec<Value> = server.client()?.list("/engine").await?;
    let native = engines.iter().find(|engine| engine["name"] == "native").context("native is listed")?;
    ensure!(native["version"].as_str().is_some_and(|version| version.contains("unprivileged")), "{native}");
    Ok(())
}

/// Killed with its keeper, and alone.
async fn a_killed_node_finds_its_sandboxes_again(server: &Server, guest: &Guest) -> Fact {
    guest.says("echo kept > /tmp/kept").await?;
    let goes_on = || async {
        ensure!(guest.says("cat /tmp/kept").await? == "kept\n");
        let all: Sandbox = guest.client.sandbox(&guest.sandbox.id).await?;
        ensure!(all.state == "running", "{all:?}");
        let described: Vec<Value> = guest.client.list("/engine").await?;
        ensure!(described.iter().any(|engine| engine["available"] == true), "no node");
        Ok(())
    };
    Role::kill_worker(server.place().data_dir())?;
    eventually("the next worker", ADOPTED, goes_on).await?;
    server.kill(Role::Node).await?;
    server.launch(Role::Node)?;
    eventually("the next node", ADOPTED, goes_on).await
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
    let guest = Guest::of(&server).await?;
    ensure!(guest.sandbox.isolation.as_deref() == Some("shared-kernel"));
    ensure!(agents(first_user) == 1, "the agent is user {first_user} on the host");
    programs_run_and_say_how_they_ended(&guest).await?;
    limits_hold(&guest).await?;
    nothing_of_the_host_is_reached(&guest).await?;
    what_needs_root_is_refused_with_the_reason(&server, &guest).await?;
    a_killed_node_finds_its_sandboxes_again(&server, &guest).await?;
    guest.client.destroy(&guest.sandbox.id).await?.expect(200)?;
    a_node_killed_while_it_boots_leaves_nothing(&server).await?;
    server.clean().await?;
    ensure!(agents(first_user) == 0, "the agent is gone");
    Leaks::of_sandbox(server.place(), &guest.sandbox.id).none()
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
