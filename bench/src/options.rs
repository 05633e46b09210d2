//! What is measured, with which programs, and how often.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

/// Measures SENTINAL beside runsc, runc and bwrap. Needs root, these three, a release build (`make build`) and the default image (`make image`).
#[derive(Debug, Clone, clap::Parser)]
pub(crate) struct Options {
    /// Pairs of measurements per row.
    #[arg(long, default_value_t = 30)]
    samples: usize,
    /// A few pairs only: shows that everything works, not how fast it is.
    #[arg(long)]
    pub(crate) smoke: bool,
    /// The server's binary.
    #[arg(long, default_value = "target/release/sentinal")]
    pub(crate) sentinal: PathBuf,
    /// The folder with the default image.
    #[arg(long, default_value = "/var/cache/sentinal/images")]
    pub(crate) images: PathBuf,
    /// Also writes the report as markdown.
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
}

impl Options {
    /// Pairs of measurements per row.
    pub(crate) fn samples(&self) -> usize {
        if self.smoke { 2 } else { self.samples.max(1) }
    }

    /// How long requests are counted for one sample.
    pub(crate) fn slice(&self) -> Duration {
        Duration::from_millis(if self.smoke { 100 } else { 1000 })
    }

    /// Sandboxes of each kind whose memory is measured.
    pub(crate) fn sandboxes(&self) -> usize {
        if self.smoke { 1 } else { 4 }
    }

    /// How large a file is that is copied, in MiB.
    pub(crate) fn file_mib(&self) -> u16 {
        if self.smoke { 1 } else { 64 }
    }

    /// Sandboxes that live at once where many are measured.
    pub(crate) fn crowd(&self) -> usize {
        if self.smoke { 5 } else { 200 }
    }

    /// Whether this machine can do it, and what to do if not.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(rustix::process::geteuid().is_root(), "needs root, for the sandboxes: sudo {}", command_line());
        ensure!(self.sentinal.exists(), "{} is missing. Run: make build", self.sentinal.display());
        ensure!(crate::bare::version().is_ok(), "runsc is missing. Run: scripts/install.sh run");
        for peer in ["runc", "bwrap"] {
            let version = Command::new(peer).arg("--version").output();
            ensure!(version.is_ok(), "{peer} is missing. Run: scripts/install.sh bench");
        }
        self.image().map(drop)
    }

    /// The file of the default image: the peers boot the same bytes.
    pub(crate) fn image(&self) -> Result<PathBuf> {
        let missing = || format!("no default image in {}. Run: make image", self.images.display());
        let named = read_json(&self.images.join("names/default.json")).with_context(missing)?;
        let digest = named["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
        let file = self.images.join(format!("sha256-{}.erofs", digest.with_context(missing)?));
        ensure!(file.exists(), missing());
        Ok(file)
    }
}

/// As it was started, for a report.
pub(crate) fn command_line() -> String {
    std::env::args().collect::<Vec<_>>().join(" ")
}

fn read_json(path: &Path) -> Result<serde_json::Value> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
