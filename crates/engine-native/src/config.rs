//! What the engine is told.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use sentinal_engine::{EngineError, cgroup::parent_for, child::Child};
use sentinal_launcher::{Task, Users};
use tokio_util::sync::CancellationToken;

use crate::subordinate;

/// Where everything is.
#[derive(Debug, Clone)]
pub struct NativeConfig {
    /// The engine's own folder, made if missing: everything of an instance is beneath. One node at a time.
    pub folder: PathBuf,
    /// What builds a sandbox.
    pub launcher: Launcher,
    /// The agent that the probe's sandbox starts.
    pub agent: PathBuf,
    /// The cgroup that holds the sandboxes' cgroups and nothing else.
    pub cgroup_parent: String,
}

/// What the node may do on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// Everything.
    Root,
    /// What an ordinary user may, with these users for its sandboxes.
    Unprivileged(Users),
}

impl Privilege {
    /// What this process may do.
    pub fn of_this_process() -> Self {
        if rustix::process::geteuid().is_root() { Self::Root } else { Self::Unprivileged(subordinate::users()) }
    }
}

impl Launcher {
    /// Has it do something.
    pub(crate) async fn run(
        &self,
        task: &Task,
        deadline: Duration,
        stop: &CancellationToken,
    ) -> Result<(), EngineError> {
        let text = serde_json::to_vec(task);
        let text = text.map_err(|error| EngineError::Io { what: "write the plan".to_owned(), source: error.into() })?;
        let child = Child::new(&self.program, deadline).named("launcher").args(&self.arguments);
        child.input(text).finish(stop).await.map(drop)
    }
}

/// A program that calls [`sentinal_launcher::launch`] with its standard input.
#[derive(Debug, Clone)]
pub struct Launcher {
    /// Its binary.
    pub program: PathBuf,
    /// What makes it the launcher.
    pub arguments: Vec<OsString>,
}

impl NativeConfig {
    /// The usual values around a folder.
    pub fn in_folder(folder: &Path, launcher: Launcher, agent: PathBuf) -> Self {
        Self { folder: folder.to_owned(), launcher, agent, cgroup_parent: parent_for("native", folder) }
    }
}
