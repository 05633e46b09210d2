//! `sentinal doctor` on hosts that were broken on purpose, each in namespaces of its own: what is wrong has a name and a
//! remedy, and the exit status says whether anything can be used.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Binaries, Fact, Leaks, Place, commands, detect, skipped, soon};
use serde_json::Value;
use tokio::sync::Mutex;

/// Makes a mount namespace, breaks something in it, and becomes the command that follows.
const DEADLINE: Duration = Duration::from_secs(30);
const IN_MOUNTS: &str = "unshare --mount --propagation private";

/// They do not disturb each other, but each wants a machine that is not busy.
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
    let command = command(namespaces, breaking, more).await?;
    let _alone = ONE_AT_A_TIME.lock().await;
    told(command).await.map(Some)
}

async fn command(namespaces: &str, breaking: &str, more: &[&str]) -> Result<Command> {
    let binaries = Binaries::find().await?;
    let mut command = Command::new("sh");
    let script = format!("exec {namespaces} sh -ec '{breaking}\nexec \"$@\"' sh \"$@\"");
    command.args(["-c", &script, "sh"]).arg(&binaries.sentinal);
    command.args(commands::doctor(&binaries.agent, &binaries.images)).args(more);
    // Whatever this machine is configured with.
    command.env("SENTINAL_CONFIG", "/dev/null");
    Ok(command)
}

async fn told(mut command: Command) -> Result<Told> {
    let output = tokio::task::spawn_blocking(move || command.output()).await?.context("run the doctor")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(&said)
        .with_context(|| format!("{}: {said}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))?;
    Ok(Told { output, report })
}

impl Told {
    /// What a host that has not changed is found to be every time.
    fn findings(&self) -> Vec<[&Value; 3]> {
        let all = ["engines", "checks"].map(|list| self.report[list].as_array());
        let all = all.into_iter().flatten().flatten();
        all.map(|found| ["name", "state", "available"].map(|field| &found[field])).collect()
    }

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

#[tokio::test]
async fn room_is_what_the_server_takes_for_room() -> Fact {
    let config = tempfile::NamedTempFile::new()?;
    fs::write(config.path(), "[scheduler]\nmemory_available_min = 90\n")?;
    for more in [["--config", path(config.path())?], ["--memory-available-min", "90"]] {
        let Some(told) = doctor("doctor-room", IN_MOUNTS, "", &more).await? else { return Ok(()) };
        let memory = told.named("checks", "memory")?;
        let (found, remedy) = (memory["found"].to_string(), memory["remedy"].to_string());
        let is_said = match memory["state"].as_str() {
            Some("ok") => found.contains(", 90 % is the least"),
            _ => remedy.contains("nothing is placed below 90 %"),
        };
        ensure!(is_said, "{memory}");
    }
    Ok(())
}

#[tokio::test]
async fn three_at_once_say_what_one_alone_says_and_leave_nothing() -> Fact {
    let site = Site::new()?;
    let Some(alone) = doctor("doctor-alone", IN_MOUNTS, &site.breaking()?, &[]).await? else { return Ok(()) };
    let _alone = ONE_AT_A_TIME.lock().await;
    alone.exits_with(0)?;
    site.is_empty()?;
    let at_once = futures::future::try_join_all((0..3).map(|_| async { told(site.doctor().await?).await }));
    for one in at_once.await? {
        ensure!(one.findings() == alone.findings(), "{} and alone {}", one.report, alone.report);
        one.exits_with(0)?;
    }
    site.is_empty()
}

#[tokio::test]
async fn what_a_killed_one_leaves_is_gone_after_the_next() -> Fact {
    if let Some(missing) = detect().await? {
        skipped("doctor-killed", missing);
        return Ok(());
    }
    let _alone = ONE_AT_A_TIME.lock().await;
    let site = Site::new()?;
    let place = Place::at("doctor-killed", site.0.path().to_owned())?;
    let (mut sandboxes, mut cgroups) = (BTreeSet::new(), BTreeSet::new());
    for moment in [Moment::Begun, Moment::Sandbox, Moment::Cgroup] {
        let known = site.sandboxes();
        let mut doctor = tokio::process::Command::from(site.doctor().await?);
        let mut doctor = doctor.stdout(Stdio::null()).kill_on_drop(true).spawn()?;
        soon(&format!("{moment:?}"), DEADLINE, || site.is_at(moment, &known)).await?;
        doctor.kill().await?;
        sandboxes.extend(site.sandboxes());
        cgroups.extend(site.sandboxes().iter().flat_map(|id| cgroups_above(id)));
    }
    ensure!(!sandboxes.is_empty() && !cgroups.is_empty(), "none of them was killed in the middle of a probe");
    ensure!(site.is_empty().is_err(), "nothing was left that could be removed");
    told(site.doctor().await?).await?.exits_with(0)?;
    site.is_empty()?;
    for id in &sandboxes {
        Leaks::of_sandbox(&place, id).none().with_context(|| id.clone())?;
    }
    cgroups.iter().try_for_each(|left| {
        ensure!(!left.exists(), "{} is left", left.display());
        Ok(())
    })
}

/// How far a doctor is.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Begun,
    Sandbox,
    Cgroup,
}

/// A `/var/tmp` of its own for some doctors.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir_in("/var/tmp")?))
    }

    fn breaking(&self) -> Result<String> {
        Ok(format!("mount --bind {} /var/tmp", path(self.0.path())?))
    }

    async fn doctor(&self) -> Result<Command> {
        command(IN_MOUNTS, &self.breaking()?, &[]).await
    }

    fn is_empty(&self) -> Fact {
        let left = below(self.0.path(), 3);
        ensure!(left.is_empty(), "{left:?} is left");
        Ok(())
    }

    /// The newest doctor has come so far; the sandboxes of those before are known.
    fn is_at(&self, moment: Moment, known: &BTreeSet<String>) -> Fact {
        let mut fresh = self.sandboxes().into_iter().filter(|id| !known.contains(id));
        let is_there = match moment {
            Moment::Begun => !below(&self.0.path().join("sentinal-doctor"), 0).is_empty(),
            Moment::Sandbox => fresh.next().is_some(),
            Moment::Cgroup => fresh.any(|id| !cgroups_above(&id).is_empty()),
        };
        ensure!(is_there, "not yet");
        Ok(())
    }

    fn sandboxes(&self) -> BTreeSet<String> {
        let names = below(self.0.path(), 3).into_iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        names.filter(|name| name.starts_with("sbx_")).collect()
    }
}

/// What is in a folder, and so many folders deep in those below.
fn below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let here: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let deeper = here.iter().filter(|_| 0 < depth).flat_map(|path| below(path, depth - 1)).collect::<Vec<_>>();
    here.into_iter().chain(deeper).collect()
}

/// The cgroups that hold those of a sandbox.
fn cgroups_above(id: &str) -> Vec<PathBuf> {
    let all = below(Path::new("/sys/fs/cgroup"), 2).into_iter().filter(|path| path.ends_with(id));
    all.filter_map(|path| path.parent().map(Path::to_owned)).collect()
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is text")
}
