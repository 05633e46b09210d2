//! What the server has promised in one round.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::program::Program;

/// How much has happened, for the killer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) acks: usize,
    pub(crate) creates: usize,
    pub(crate) deletes: usize,
}

/// A sandbox that was acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct SandboxPromise {
    pub(crate) id: String,
    /// Whether it was acknowledged as running.
    pub(crate) running: bool,
    /// Uploaded files: path, seed and size.
    pub(crate) files: Vec<FilePromise>,
    /// The value of its label `mark`, if one was set.
    pub(crate) mark: Option<u32>,
    pub(crate) deletion: Deletion,
}

/// A file that was sent.
#[derive(Debug, Clone)]
pub(crate) struct FilePromise {
    pub(crate) path: String,
    pub(crate) seed: u64,
    pub(crate) size: usize,
    /// Otherwise the file is there whole or not at all.
    pub(crate) acknowledged: bool,
}

/// How far the end of a sandbox has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deletion {
    Unasked,
    Asked,
    Acknowledged,
}

/// A program that was sent.
#[derive(Debug, Clone)]
pub(crate) struct ExecutionPromise {
    /// `None`: it was not acknowledged, and may or may not have been started.
    pub(crate) id: Option<String>,
    /// `None`: a sandbox of its own.
    pub(crate) sandbox: Option<String>,
    pub(crate) program: Program,
}

/// All promises, and how many of each kind.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    pub(crate) sandboxes: Vec<SandboxPromise>,
    pub(crate) executions: Vec<ExecutionPromise>,
    /// Executions whose results were looked at by the one who asked for them.
    pub(crate) looked_at: BTreeSet<String>,
    pub(crate) acks: BTreeMap<&'static str, usize>,
    pub(crate) unacknowledged: usize,
    pub(crate) refused: usize,
    /// Running sandboxes at each kill, summed up.
    pub(crate) to_adopt: usize,
    pub(crate) kills: BTreeMap<&'static str, usize>,
}

/// Where clients and killer write down what was promised.
#[derive(Debug)]
pub(crate) struct Journal {
    promises: Mutex<Promises>,
    progress: watch::Sender<Progress>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { promises: Mutex::default(), progress: watch::Sender::new(Progress::default()) }
    }

    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Promises) -> T) -> T {
        change(&mut self.promises.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn sandbox<T>(&self, id: &str, change: impl FnOnce(&mut SandboxPromise) -> T) -> Option<T> {
        self.write(|promises| promises.sandboxes.iter_mut().find(|sandbox| sandbox.id == id).map(change))
    }

    /// Counts an acknowledgement of this kind.
    pub(crate) fn acknowledged(&self, kind: &'static str) {
        self.write(|promises| *promises.acks.entry(kind).or_default() += 1);
        self.progress.send_modify(|progress| progress.acks += 1);
    }

    pub(crate) fn creating(&self) {
        self.progress.send_modify(|progress| progress.creates += 1);
    }

    pub(crate) fn deleting(&self) {
        self.progress.send_modify(|progress| progress.deletes += 1);
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(crate) fn into_promises(self) -> Promises {
        self.promises.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promises {
    /// Sandboxes that run now as far as their owner knows.
    pub(crate) fn running(&self) -> usize {
        self.sandboxes.iter().filter(|sandbox| sandbox.running && sandbox.deletion == Deletion::Unasked).count()
    }
}
