//! One instance on disk.
//!
//! ```text
//! <engine folder>/         0700
//!   sbx_.../               0700  made first, removed last
//!     layer.ext4           0600  what the sandbox writes; mounted inside it alone
//!     users                      the first of its users, written before they are claimed
//!     pid                        its first process, and when that began
//!     booted                     made last: without it the instance is partial
//!   users/524288 -> sbx_...      who has which users
//! ```
//!
//! Where the node is not root there are neither layers nor users, but `images/`: see `trees.rs`.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use sentinal_engine::{EngineError, layer::Layer};
use sentinal_launcher::Started;
use sentinal_model::SandboxId;

/// The folder of one instance, whether it exists or not.
#[derive(Debug, Clone)]
pub(crate) struct InstanceFolder {
    path: PathBuf,
}

impl InstanceFolder {
    pub(crate) fn new(engine: &Path, id: SandboxId) -> Self {
        Self { path: engine.join(id.to_string()) }
    }

    pub(crate) fn make(&self) -> Result<(), EngineError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path).map_err(failed("make", &self.path))
    }

    /// From now on the instance is booted.
    pub(crate) fn mark_booted(&self) -> Result<(), EngineError> {
        let path = self.path.join("booted");
        File::create(&path).map(drop).map_err(failed("make", &path))
    }

    pub(crate) fn is_booted(&self) -> bool {
        self.path.join("booted").exists()
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// The sandbox's first process, if there ever was one.
    pub(crate) fn init(&self) -> Option<Started> {
        read(&self.pid_file())
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.init().map(|init| init.pid)
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.path.join("pid")
    }

    /// The first of its users, if it ever wanted some.
    pub(crate) fn first_id(&self) -> Option<u32> {
        read(&self.path.join("users"))
    }

    pub(crate) fn write_first_id(&self, first: u32) -> Result<(), EngineError> {
        let path = self.path.join("users");
        fs::write(&path, first.to_string()).map_err(failed("write", &path))
    }

    pub(crate) fn layer(&self) -> Layer {
        Layer::in_folder(&self.path)
    }

    /// Removes everything. Takes milliseconds: not for an async thread.
    pub(crate) fn remove(&self) -> Result<(), EngineError> {
        gone(fs::remove_dir_all(&self.path)).map_err(failed("remove", &self.path))
    }
}

fn read<T: std::str::FromStr>(path: &Path) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Every sandbox that has a folder here.
pub(crate) fn list(engine: &Path) -> Result<Vec<SandboxId>, EngineError> {
    let entries = match fs::read_dir(engine) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed("list", engine)(source)),
    };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

pub(crate) fn failed(verb: &str, path: &Path) -> impl Fn(io::Error) -> EngineError {
    let what = format!("{verb} {}", path.display());
    move |source| EngineError::Io { what: what.clone(), source }
}

pub(crate) fn gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
