//! One instance on disk: what all engines on a host have there. What else is in the folder is the engine's.
//!
//! ```text
//! <engine folder>/         0700
//!   sbx_.../               0700  made first, removed last
//!     layer.ext4                 what the sandbox writes
//!     pid                        its first process; what follows the number is the engine's
//!     booted                     made last: without it the instance is partial
//! ```

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use sentinal_model::SandboxId;

use crate::{EngineError, layer::Layer};

/// Digits of the sandbox's id in its hostname.
const HOSTNAME_DIGITS: usize = 10;

/// The folder of one instance, whether it exists or not.
#[derive(Debug, Clone)]
pub struct InstanceFolder {
    path: PathBuf,
    id: SandboxId,
}

impl InstanceFolder {
    /// The folder of this instance in that of its engine.
    pub fn new(engine: &Path, id: SandboxId) -> Self {
        Self { path: engine.join(id.to_string()), id }
    }

    /// Whose it is.
    pub const fn id(&self) -> &SandboxId {
        &self.id
    }

    /// What the sandbox is called inside. The end of an id is random; its beginning is a time.
    pub fn hostname(&self) -> String {
        let id = self.id.to_string();
        format!("sbx-{}", &id[id.len().saturating_sub(HOSTNAME_DIGITS)..])
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it, for nobody else to look into.
    pub fn make(&self) -> Result<(), EngineError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.map_err(EngineError::io("make", &self.path))
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Whether the boot came to its end.
    pub fn is_booted(&self) -> bool {
        self.booted_file().exists()
    }

    /// From now on the instance is booted.
    pub(super) fn mark_booted(&self) -> Result<(), EngineError> {
        let path = self.booted_file();
        File::create(&path).map(drop).map_err(EngineError::io("make", &path))
    }

    fn booted_file(&self) -> PathBuf {
        self.path.join("booted")
    }

    /// The first process, if there ever was one.
    pub fn pid(&self) -> Option<i32> {
        fs::read_to_string(self.pid_file()).ok()?.split_whitespace().next()?.parse().ok()
    }

    /// The file that says which it is.
    pub fn pid_file(&self) -> PathBuf {
        self.path.join("pid")
    }

    /// What the sandbox writes.
    pub fn layer(&self) -> Layer {
        Layer::in_folder(&self.path)
    }

    /// Removes everything. Takes milliseconds: not for an async thread.
    pub(super) fn remove(&self) -> Result<(), EngineError> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(EngineError::io("remove", &self.path)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Every sandbox that has a folder here.
pub(super) fn list(engine: &Path) -> Result<Vec<SandboxId>, EngineError> {
    let entries = match fs::read_dir(engine) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(EngineError::io("list", engine)(source)),
    };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}
