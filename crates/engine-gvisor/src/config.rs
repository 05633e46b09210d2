//! What the engine is told.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use sentinal_engine::cgroup::parent_for;

/// Where everything is.
#[derive(Debug, Clone)]
pub struct GvisorConfig {
    /// The engine's own folder, made if missing: everything of an instance is beneath. One node at a time.
    pub folder: PathBuf,
    /// The `runsc` binary.
    pub runsc: PathBuf,
    /// What puts `runsc` into the sandbox's surroundings.
    pub starter: Starter,
    /// The cgroup that holds the sandboxes' cgroups and nothing else.
    pub cgroup_parent: String,
}

/// A program of ours that is started in the place of `runsc` and becomes it: it calls [`crate::starter::start`] with
/// what follows its first arguments.
#[derive(Debug, Clone)]
pub struct Starter {
    /// Its binary.
    pub program: PathBuf,
    /// What comes before the arguments of the start.
    pub first: Vec<OsString>,
}

impl GvisorConfig {
    /// The usual values around a folder.
    pub fn in_folder(folder: &Path, starter: Starter) -> Self {
        Self {
            folder: folder.to_owned(),
            runsc: "/usr/bin/runsc".into(),
            starter,
            cgroup_parent: parent_for("gvisor", folder),
        }
    }
}
