//! The same attempts in a sandbox that is none, where each has to find its hole: an attempt that finds nothing there
//! proves nothing elsewhere.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Binaries, Cell};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    inside::{self, Answers, Verdict},
    outside::Outside,
    table::{ATTEMPTS, Attempt, Weak},
};

const DEADLINE: Duration = Duration::from_mins(8);
const SCRIPT: &str = include_str!("weak.sh");

/// What it showed, and that it could be seen from outside.
#[derive(Debug)]
pub(crate) struct Shown {
    answers: Answers,
    pub(crate) touched: Result<(), String>,
}

/// Runs every attempt there that does no harm.
pub(crate) async fn run(outside: &Outside) -> Result<Shown> {
    let folder = tempfile::Builder::new().prefix("snt-weak-").tempdir_in("/var/tmp")?;
    let (script, programs, point) =
        (folder.path().join("weak.sh"), folder.path().join("inside"), folder.path().join("outside"));
    fs::write(&script, SCRIPT)?;
    fs::create_dir(&programs)?;
    fs::create_dir(&point)?;
    for (name, text) in inside::PROGRAMS {
        fs::write(programs.join(name), text)?;
    }
    let disk = &outside.known()["disk"];
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net", "bash"]).arg(script);
    command.arg(image().await?).arg(outside.program()).arg(programs).arg(format!("{} {}", disk[0], disk[1])).arg(point);
    command.args(ATTEMPTS.iter().flat_map(named));
    let mut command = tokio::process::Command::from(command);
    let output = command.kill_on_drop(true).stdin(std::process::Stdio::null()).output();
    let output = timeout(DEADLINE, output).await.context("the weak sandbox took too long")?.context("start unshare")?;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "the weak sandbox: {}: {errors}", output.status);
    Ok(Shown { answers: inside::answers(&said)?, touched: was_touched(&said) })
}

/// The attempt as `weak.sh` wants it.
fn named(attempt: &Attempt) -> Vec<String> {
    let how = match attempt.weak {
        Weak::Hole | Weak::HoleIfBuiltIn => "chroot",
        Weak::HoleByPivot => "pivot",
        Weak::Never(_) => return Vec::new(),
    };
    attempt.tried_as().iter().map(|who| format!("{who}/{}/{how}", attempt.name)).collect()
}

/// The canary of the weak sandbox must have noticed, or the one of the others is blind.
fn was_touched(said: &str) -> Result<(), String> {
    let last = said.lines().last().unwrap_or_default();
    let touched = serde_json::from_str::<Value>(last).map(|last| last["touched"].to_string()).unwrap_or_default();
    // Its signals, and its sockets with a path, without one, and with a port.
    let missing =
        ["signal", "connection 2", "connection 3", "connection 4"].into_iter().find(|word| !touched.contains(word));
    missing.map_or(Ok(()), |word| Err(format!("the canary did not notice {word:?}, only {touched}")))
}

async fn image() -> Result<PathBuf> {
    let images = &Binaries::find().await?.images;
    let entries = fs::read_dir(images).with_context(|| images.display().to_string())?.flatten();
    let image = entries.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|kind| kind == "erofs"));
    image.with_context(|| format!("no image in {}", images.display()))
}

impl Shown {
    /// Whether the attempt found its hole.
    pub(crate) fn cell(&self, attempt: &Attempt, who: &str) -> Cell {
        if let Weak::Never(why) = attempt.weak {
            return Cell::Noted("never", format!("weak: never tried: {why}"));
        }
        let Some(said) = self.answers.get(&(attempt.name.to_owned(), who.to_owned())) else {
            return Cell::Fail("it was not tried".to_owned());
        };
        let is_absent = said.detail == "nothing" || said.detail.split("; ").all(is_about_absence);
        match (said.verdict, attempt.weak) {
            (Verdict::Escaped, _) => Cell::Noted("hole", String::new()),
            (Verdict::Held, Weak::HoleIfBuiltIn) if is_absent => {
                Cell::Noted("absent", format!("weak: this machine's kernel has none of it: {}", attempt.name))
            }
            (Verdict::Held, _) => Cell::Fail(format!("it found no hole where there is one: {}", said.detail)),
            (Verdict::Broken, _) => Cell::Fail(format!("the attempt is broken: {}", said.detail)),
        }
    }
}

fn is_about_absence(refusal: &str) -> bool {
    ["Function not implemented", "No such file", "No such device", "busy", "Invalid argument", "nothing"]
        .iter()
        .any(|word| refusal.contains(word))
}
