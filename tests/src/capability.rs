//! What this machine can run. A test that needs more is skipped, visibly.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{Binaries, binaries::run, commands};

/// What a machine lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The privilege to have a node.
    Root,
    /// gVisor.
    Runsc,
    /// User namespaces for whoever is not root.
    UserNamespaces,
    /// The binaries where others than root may execute them.
    OpenFolder,
    /// What maps a range of users for whoever is not root.
    Uidmap,
    /// What gives a command a terminal.
    Script,
    /// A file system of our own for the tests about full disks.
    SmallDisk,
    /// Enough open files for one process.
    OpenFiles,
    /// What generates requests from an OpenAPI document.
    Schemathesis,
    /// What checks figures and alerts for Prometheus.
    Promtool,
}

impl Missing {
    /// In words, for whoever reads what was not tried.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Root => "not run as root",
            Self::Runsc => "runsc is not in PATH",
            Self::UserNamespaces => "the kernel makes no user namespaces for ordinary users",
            Self::OpenFolder => "an ordinary user cannot execute what was built here",
            Self::Uidmap => "newuidmap is not in PATH (Debian: uidmap)",
            Self::Script => "script is not in PATH (Debian: bsdutils)",
            Self::SmallDisk => "no tmpfs may be mounted here",
            Self::OpenFiles => "one process may not open enough files here (ulimit -Hn)",
            Self::Promtool => "SENTINAL_PROMTOOL does not say where it is (scripts/promtool.sh installs it)",
            Self::Schemathesis => {
                "SENTINAL_SCHEMATHESIS does not say where it is (scripts/schemathesis.sh installs it)"
            }
        }
    }
}

/// Says on the real standard error, past the capture of the test runner, that something was not tested.
pub fn skipped(what: &str, missing: Missing) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {}", missing.why());
}

/// Whether a server with gVisor can run here.
pub async fn detect() -> Result<Option<Missing>> {
    match detect_host().await? {
        None if find_program("runsc").is_none() => Ok(Some(Missing::Runsc)),
        missing => Ok(missing),
    }
}

/// Whether a server can run here, with whatever engine. Makes its user and its image where they are missing.
pub async fn detect_host() -> Result<Option<Missing>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Some(Missing::Root));
    }
    let users = fs::read_to_string("/etc/passwd").context("read the users")?;
    let prefix = format!("{}:", commands::SERVER_USER);
    if !users.lines().any(|line| line.starts_with(&prefix)) {
        run(commands::user_add(), Duration::from_secs(30)).await?;
    }
    Binaries::find().await?.build_image().await?;
    Ok(None)
}

/// A program in `PATH`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
