//! The binaries under test and the image they boot: found, or built within a deadline.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::sync::OnceCell;

use crate::commands;

const BUILD_DEADLINE: Duration = Duration::from_mins(15);

/// What a server of the tests is made of.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `sentinal`.
    pub sentinal: PathBuf,
    /// The static agent.
    pub agent: PathBuf,
    /// The folder with the default image.
    pub images: PathBuf,
}

static FOUND: OnceCell<Binaries> = OnceCell::const_new();

impl Binaries {
    /// `SENTINAL_BIN`, `SENTINAL_AGENT` and `SENTINAL_IMAGES`, or what lies in the target folder; what is missing is
    /// built once.
    pub async fn find() -> Result<&'static Self> {
        FOUND.get_or_try_init(Self::find_or_build).await
    }

    async fn find_or_build() -> Result<Self> {
        let target = target_dir();
        let named = |variable: &str, default: PathBuf| env::var_os(variable).map_or(default, PathBuf::from);
        let found = Self {
            sentinal: named("SENTINAL_BIN", profile_dir().join("sentinal")),
            agent: named("SENTINAL_AGENT", target.join("x86_64-unknown-linux-musl/agent/sentinal-agent")),
            images: named("SENTINAL_IMAGES", PathBuf::from(commands::IMAGES)),
        };
        if !found.sentinal.exists() || !found.agent.exists() {
            for command in commands::cargo_build(workspace()) {
                run(command, BUILD_DEADLINE).await?;
            }
        }
        ensure!(found.sentinal.exists(), "{} is missing after the build; set SENTINAL_BIN", found.sentinal.display());
        ensure!(found.agent.exists(), "{} is missing after the build; set SENTINAL_AGENT", found.agent.display());
        Ok(found)
    }

    /// Makes the default image unless it is there. Takes a minute or so the first time.
    pub async fn build_image(&self) -> Result<()> {
        static BUILT: OnceCell<()> = OnceCell::const_new();
        let build = || async {
            fs::create_dir_all(&self.images).context("make the folder of the images")?;
            run(commands::image_build(&self.sentinal, &self.images), BUILD_DEADLINE).await
        };
        BUILT.get_or_try_init(build).await.copied()
    }
}

/// Where cargo puts what it builds: the test binary itself lies in `TARGET/PROFILE/deps`.
pub(crate) fn target_dir() -> PathBuf {
    let profile = profile_dir();
    profile.parent().map_or_else(|| profile.clone(), Path::to_owned)
}

fn profile_dir() -> PathBuf {
    let test = env::current_exe().unwrap_or_default();
    test.ancestors().nth(2).map_or_else(|| workspace().join("target/debug"), Path::to_owned)
}

/// The folder of the workspace's manifest.
fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Runs a command to its end, and says what it said when it fails.
pub(crate) async fn run(command: Command, deadline: Duration) -> Result<()> {
    let line = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true).stdin(std::process::Stdio::null());
    let output = tokio::time::timeout(deadline, command.output()).await;
    let output = output.with_context(|| format!("{line}: not within {} s", deadline.as_secs()))?;
    let output = output.with_context(|| format!("start {line}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let end: String = said.chars().skip(said.chars().count().saturating_sub(2000)).collect();
    ensure!(output.status.success(), "{line}: {}\n{end}", output.status);
    Ok(())
}
