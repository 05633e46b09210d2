//! A `runsc` that is missing, too old, broken or does not answer.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use sentinal_tests::{Fact, Guest, Options, Problem, Process, Role, Server, commands, eventually, processes};
use serde_json::json;

/// A probe may take its whole deadline.
const PROBE_DEADLINE: Duration = Duration::from_secs(45);
/// Boots that may be over before they were seen.
const BOOTS_UNSEEN_MAX: u32 = 10;

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

/// Stops every process of runsc for other sandboxes than `kept`, as soon as it appears, for ever.
async fn freeze(server: &Server, kept: &str) -> Result<std::convert::Infallible> {
    let data_dir = server.place().data_dir().to_string_lossy().into_owned();
    loop {
        let of_runsc = |process: &Process| process.program().starts_with("runsc") && process.names(&data_dir);
        let running = processes().into_iter().filter(|process| of_runsc(process) && !process.names(kept));
        running.into_iter().try_for_each(|process| process.kill(Signal::STOP))?;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// On a busy machine a boot may be over before it was seen: then another one is caught.
async fn pending_guest(server: &Server) -> Result<Guest> {
    for _ in 0..BOOTS_UNSEEN_MAX {
        let guest = Guest::of(server, json!({"wait": 2})).await?;
        if guest.sandbox().state == "pending" {
            return Ok(guest);
        }
        guest.gone().await?;
    }
    bail!("no boot could be stopped half-way")
}

#[tokio::test]
async fn a_sandbox_whose_runsc_hangs_stays_pending_and_can_be_deleted() -> Fact {
    let Some(server) = Server::start("runsc-freezes", Options::default()).await? else { return Ok(()) };
    let guest = Guest::of(&server, json!({})).await?;
    let hung = async {
        let pending = pending_guest(&server).await?;
        guest.works().await.context("a sandbox that was there before")?;
        pending.gone().await
    };
    tokio::select! {
        done = hung => done?,
        frozen = freeze(&server, guest.id()) => match frozen? {},
    }
    let again = || async { Guest::of(&server, json!({})).await };
    eventually("a sandbox when it hangs no more", PROBE_DEADLINE, again).await?.gone().await?;
    guest.gone().await?;
    server.clean().await
}
