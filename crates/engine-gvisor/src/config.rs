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
    /// What puts `runsc` into the sandbox's cgroup.
    pub starter: Starter,
    /// The cgroup that holds the sandboxes' cgroups and nothing else.
    pub cgroup_parent: String,
}

/// What is started in the place of `runsc`, enters the cgroup and becomes `runsc`.
#[derive(Debug, Clone)]
pub enum Starter {
    /// `/bin/sh`. Enough, but each boot takes 40 ms longer than with a program.
    Shell,
    /// A program of ours, which calls [`crate::starter::start`] with what follows its first arguments.
    Program {
        /// Its binary.
        program: PathBuf,
        /// What comes before the arguments of the start.
        first: Vec<OsString>,
    },
}

impl GvisorConfig {
    /// The usual values around a folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            runsc: "/usr/bin/runsc".into(),
            starter: Starter::Shell,
            cgroup_parent: parent_for("gvisor", folder),
        }
    }
}
