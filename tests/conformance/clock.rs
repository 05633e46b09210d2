//! The wall clock steps, and what was promised in durations is kept all the same.
//!
//! A machine's wall clock cannot be had in a namespace, and this machine's is not ours to set. So the product's two
//! processes get a small library in front of the C library's clock, which adds to what the kernel says.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use sentinal_tests::{Fact, NewExecution, Options, Role};
use serde_json::json;

use crate::scene::{Part, Scene, Stage, part};

const DEADLINE: Duration = Duration::from_mins(2);
const STEP_SECONDS: i64 = 3600;
/// Below the target folder.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");
const SHIM: &str = include_str!("clock_shim.c");

pub(crate) fn scenes() -> Vec<Scene> {
    let parts = || -> Vec<Part> {
        vec![
            part(an_execution_goes_on),
            part(a_timeout_is_kept),
            part(a_sandbox_with_time_left_lives_on),
            part(a_sandbox_past_its_ttl_ends),
            part(a_sandbox_boots_afterwards),
        ]
    };
    vec![
        Scene {
            name: "the clock steps an hour ahead",
            weight: 1,
            options: |_| Clock::of_both()?.options(),
            disturb: |stage| Box::pin(step(stage, STEP_SECONDS)),
            parts: parts(),
        },
        Scene {
            name: "the clock steps an hour back",
            weight: 1,
            options: |_| Clock::of_both()?.options(),
            disturb: |stage| Box::pin(step(stage, -STEP_SECONDS)),
            parts: parts(),
        },
    ]
}

/// How fast time passes for a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speed {
    /// As for everybody.
    Usual,
    /// So slowly that no timer of the process comes before its time is over elsewhere.
    Slow,
}

/// The clock of one role or of both.
#[derive(Debug)]
pub(crate) struct Clock {
    roles: &'static str,
    speed: Speed,
    file: PathBuf,
}

impl Clock {
    pub(crate) fn of(role: Role, speed: Speed) -> Result<Self> {
        Self::new(role.as_str(), speed)
    }

    fn of_both() -> Result<Self> {
        Self::new("", Speed::Usual)
    }

    /// Its file holds what is added to the wall clock, in nanoseconds.
    fn new(roles: &'static str, speed: Speed) -> Result<Self> {
        let file = tempfile::Builder::new().prefix("clock-").tempfile_in(FOLDER)?;
        let (_, file) = file.keep().context("keep the clock's file")?;
        fs::write(&file, 0_i64.to_ne_bytes()).context("set the clock")?;
        Ok(Self { roles, speed, file })
    }

    /// What makes a server run by this clock.
    pub(crate) fn options(&self) -> Result<Options> {
        let speed = if self.speed == Speed::Slow { "40" } else { "1" };
        let env = [
            ("LD_PRELOAD", shim()?.into_os_string()),
            ("TEST_CLOCK_FILE", self.file.clone().into_os_string()),
            ("TEST_CLOCK_ROLES", self.roles.into()),
            ("TEST_CLOCK_SLOWER", speed.into()),
        ];
        let env = env.map(|(name, value)| (name.into(), value)).to_vec();
        Ok(Options { env, ..Options::default() })
    }
}

/// Compiled once.
fn shim() -> Result<PathBuf> {
    static COMPILED: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = &*compiled {
        return Ok(path.clone());
    }
    let (source, library) = (Path::new(FOLDER).join("clock_shim.c"), Path::new(FOLDER).join("clock_shim.so"));
    fs::write(&source, SHIM)?;
    let mut cc = Command::new("cc");
    let cc = cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(&source);
    let output = cc.output().context("start cc")?;
    ensure!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
    *compiled = Some(library.clone());
    Ok(library)
}

/// Steps the clock of a running server.
async fn step(stage: Stage, seconds: i64) -> Fact {
    let file = stage.server.options().env.iter().find(|(name, _)| name == "TEST_CLOCK_FILE");
    let (_, file) = file.context("this server has the machine's clock")?;
    // Never shorter than it was: both processes have it mapped.
    let clock = fs::OpenOptions::new().write(true).open(file).context("open the clock")?;
    clock.write_all_at(&(seconds * 1_000_000_000).to_ne_bytes(), 0).context("step the clock")?;
    let created =
        stage.server.client()?.create(&sentinal_tests::on(stage.column, json!({"ttl": 5, "wait": 60}))).await?;
    let now = Command::new("date").args(["-u", "+%FT%H"]).output()?.stdout;
    ensure!(!created.created_at.as_bytes().starts_with(now.trim_ascii()), "the clock did not step: {created:?}");
    Ok(())
}

async fn an_execution_goes_on(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"ttl": 7200})).await?;
    let line = NewExecution::shell("while [ ! -e go ]; do sleep 0.1; done; echo done").within(guest.id());
    let started = guest.client().execute_in_background(line.with("timeout", 600)).await?;
    stage.meanwhile().await?;
    guest.works().await?;
    guest.shell("touch go").await?.ok()?;
    ensure!(guest.end_of(&started.id, DEADLINE).await?.ok()? == "done\n");
    guest.gone().await
}

async fn a_timeout_is_kept(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"ttl": 7200})).await?;
    let line = NewExecution::shell("sleep 7208").within(guest.id()).with("timeout", 8);
    let started = guest.client().execute_in_background(line).await?;
    stage.meanwhile().await?;
    let ended = guest.end_of(&started.id, DEADLINE).await?;
    ensure!(ended.outcome.as_deref() == Some("timeout"), "{ended:?}");
    let again = guest.execute(NewExecution::shell("sleep 7209").with("timeout", 1)).await?;
    ensure!(again.outcome.as_deref() == Some("timeout"), "{again:?}");
    guest.gone().await
}

async fn a_sandbox_with_time_left_lives_on(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"ttl": 7200})).await?;
    stage.meanwhile().await?;
    // Longer than the controller sleeps towards a moment of the wall clock.
    guest.execute(NewExecution::shell("sleep 12").with("timeout", 100)).await?.ok()?;
    guest.works().await?;
    guest.gone().await
}

/// Ahead: the moment it was to end has passed. Back: its ttl is over all the same, by a clock that does not step.
async fn a_sandbox_past_its_ttl_ends(stage: Stage) -> Fact {
    let guest = stage.guest(json!({"ttl": 30})).await?;
    stage.meanwhile().await?;
    let sandbox = guest.becomes("stopped", DEADLINE).await?;
    ensure!(sandbox.outcome.as_deref() == Some("expired"), "{sandbox:?}");
    guest.clean().await
}

async fn a_sandbox_boots_afterwards(stage: Stage) -> Fact {
    stage.meanwhile().await?;
    let guest = stage.guest(json!({})).await?;
    guest.works().await?;
    guest.gone().await
}
