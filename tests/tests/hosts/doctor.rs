//! `sentinal doctor` on hosts that were broken on purpose, each in namespaces of its own: what is wrong has a name and a
//! remedy, and the exit status says whether anything can be used.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Binaries, Fact, commands, detect, skipped};
use serde_json::Value;
use tokio::sync::Mutex;

/// Makes a mount namespace, breaks something in it, and becomes the command that follows.
const IN_MOUNTS: &str = "unshare --mount --propagation private";

/// All probes of a host work in one folder.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

struct Told {
    output: Output,
    report: Value,
}

/// Runs the doctor after `breaking` (a line of shell) in `namespaces` (an `unshare`). `None`, said aloud, where the
/// machine cannot.
async fn doctor(name: &str, namespaces: &str, breaking: &str, more: &[&str]) -> Result<Option<Told>> {
    if let Some(missing) = detect().await? {
        skipped(name, missing);
        return Ok(None);
    }
    let binaries = Binaries::find().await?;
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut command = Command::new("sh");
    let script = format!("exec {namespaces} sh -ec '{breaking}\nexec \"$@\"' sh \"$@\"");
    command.args(["-c", &script, "sh"]).arg(&binaries.sentinal);
    command.args(commands::doctor(&binaries.agent, &binaries.images)).args(more);
    let output = tokio::task::spawn_blocking(move || command.output()).await?.context("run the doctor")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(&said)
        .with_context(|| format!("{}: {said}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))?;
    Ok(Some(Told { output, report }))
}

impl Told {
    fn named<'a>(&'a self, list: &str, name: &str) -> Result<&'a Value> {
        let all = self.report[list].as_array().context("a list")?;
        all.iter().find(|one| one["name"] == name).with_context(|| format!("no {name} in {}", self.report))
    }

    fn check_is(&self, name: &str, state: &str) -> Result<()> {
        let check = self.named("checks", name)?;
        ensure!(check["state"] == state, "{check}");
        ensure!(check["found"].as_str().is_some_and(|found| !found.is_empty()), "{check}");
        ensure!(state != "lacking" || check["remedy"].is_string(), "what is lacking has a remedy: {check}");
        Ok(())
    }

    /// The engine cannot be used, for a reason of one of these kinds that says one of these words.
    fn is_unavailable(&self, engine: &str, kinds: &[&str], words: &[&str]) -> Result<()> {
        let found = self.named("engines", engine)?;
        ensure!(found["available"] == false, "{found}");
        let kind = found["reason"]["kind"].as_str().unwrap_or_default();
        ensure!(kinds.contains(&kind), "{kind:?} is none of {kinds:?}: {found}");
        let said = found.to_string();
        ensure!(words.iter().any(|word| said.contains(word)), "none of {words:?}: {said}");
        self.exits_with(1)
    }

    fn exits_with(&self, status: i32) -> Result<()> {
        ensure!(self.output.status.code() == Some(status), "{}: {}", self.output.status, self.report);
        ensure!(self.report["usable"] == (status == 0), "{}", self.report);
        Ok(())
    }
}

#[tokio::test]
async fn a_host_that_is_well_has_an_engine() -> Fact {
    let Some(told) = doctor("doctor-well", IN_MOUNTS, "", &[]).await? else { return Ok(()) };
    told.exits_with(0)?;
    let gvisor = told.named("engines", "gvisor")?;
    ensure!(
        gvisor["available"] == true && gvisor["version"].as_str().is_some_and(|said| said.contains("runsc")),
        "{gvisor}"
    );
    let native = told.named("engines", "native")?;
    ensure!(native["available"] == true, "{native}");
    for check in
        ["privilege", "loop devices", "agent", "image", "cgroup memory", "cgroup cpu", "cgroup pids", "disk", "memory"]
    {
        told.check_is(check, "ok")?;
    }
    told.named("checks", "memory pressure").map(drop)
}

#[tokio::test]
async fn an_engine_that_policy_forbids_is_of_no_use() -> Fact {
    let more = ["--minimum-isolation", "microvm"];
    let Some(told) = doctor("doctor-policy", IN_MOUNTS, "", &more).await? else { return Ok(()) };
    told.exits_with(1)
}

#[tokio::test]
async fn a_missing_runsc_is_missing() -> Fact {
    let more = ["--runsc", "/nowhere/runsc"];
    let Some(told) = doctor("doctor-no-runsc", IN_MOUNTS, "", &more).await? else { return Ok(()) };
    told.is_unavailable("gvisor", &["missing"], &["not installed"])?;
    let more = ["--runsc", "/nowhere/runsc", "--allow-shared-kernel"];
    let Some(told) = doctor("doctor-no-runsc", IN_MOUNTS, "", &more).await? else { return Ok(()) };
    told.exits_with(0)
}

#[tokio::test]
async fn a_runsc_that_hangs_is_given_up() -> Fact {
    let folder = tempfile::tempdir()?;
    let runsc = folder.path().join("runsc");
    fs::write(&runsc, "#!/bin/sh\nexec sleep 1000")?;
    fs::set_permissions(&runsc, fs::Permissions::from_mode(0o755))?;
    let more = ["--runsc", runsc.to_str().context("a path that is text")?];
    let Some(told) = doctor("doctor-runsc-hangs", IN_MOUNTS, "", &more).await? else { return Ok(()) };
    told.is_unavailable("gvisor", &["hung"], &["did not finish"])
}

#[tokio::test]
async fn a_host_without_loop_devices_is_told_how_to_get_them() -> Fact {
    let empty = tempfile::NamedTempFile::new()?;
    let breaking = format!("mount --bind {} /dev/loop-control", path(empty.path())?);
    let breaking = format!(
        "{breaking}\nfor device in /dev/loop[0-9]*; do [ ! -e $device ] || mount --bind /dev/null $device; done"
    );
    let Some(told) = doctor("doctor-loop", IN_MOUNTS, &breaking, &[]).await? else { return Ok(()) };
    told.check_is("loop devices", "lacking")?;
    told.is_unavailable("native", &["refused"], &["loop device"])?;
    told.is_unavailable("gvisor", &["refused", "failed"], &["loop devices"])
}

#[tokio::test]
async fn a_host_whose_cgroups_cannot_be_written_is_told_so() -> Fact {
    let breaking = "grep -E \" - cgroup2? \" /proc/self/mountinfo | cut -d\" \" -f5 | while read point; do mount -o remount,bind,ro $point; done";
    let Some(told) = doctor("doctor-cgroups", IN_MOUNTS, breaking, &[]).await? else { return Ok(()) };
    for check in ["cgroup memory", "cgroup cpu", "cgroup pids"] {
        told.check_is(check, "lacking")?;
    }
    told.is_unavailable("native", &["refused"], &["cgroup controllers"])?;
    told.is_unavailable("gvisor", &["refused", "failed"], &["cgroup memory"])
}

#[tokio::test]
async fn a_host_without_user_namespaces_is_told_so() -> Fact {
    let namespaces = "unshare --user --map-root-user --mount --propagation private";
    let breaking = "echo 0 > /proc/sys/user/max_user_namespaces";
    let Some(told) = doctor("doctor-userns", namespaces, breaking, &[]).await? else { return Ok(()) };
    told.check_is("user namespaces", "lacking")?;
    told.is_unavailable("native", &["refused"], &["max_user_namespaces"])
}

#[tokio::test]
async fn who_is_not_root_is_told_what_can_be_had_and_what_is_weaker() -> Fact {
    let namespaces = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let Some(told) = doctor("doctor-user", namespaces, "", &[]).await? else { return Ok(()) };
    let privilege = told.named("checks", "privilege")?;
    ensure!(privilege["found"].as_str().is_some_and(|found| found.contains("native sandboxes only")), "{privilege}");
    told.check_is("users", "lacking")?;
    told.check_is("loop devices", "unknown")?;
    told.is_unavailable("gvisor", &["refused"], &["root"])
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is text")
}
