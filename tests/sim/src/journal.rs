//! What clients were promised.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use sentinal_controller::ExecutionRecord;
use sentinal_model::{ExecutionId, SandboxId};

use crate::world::lock;

/// Every promise.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Promises>);

#[derive(Debug, Default)]
struct Promises {
    sandboxes: BTreeMap<SandboxId, SandboxPromise>,
    executions: BTreeMap<ExecutionId, ExecutionPromise>,
    /// Sandboxes that somebody has got, also for one execution.
    given: BTreeSet<SandboxId>,
    /// Sandboxes whose end somebody has asked for.
    unwanted: BTreeSet<SandboxId>,
    /// Sandboxes whose pause was acknowledged, until somebody asks for the end of it.
    paused: BTreeSet<SandboxId>,
    /// Clients' calls by how they ended.
    answers: BTreeMap<&'static str, u64>,
}

/// A sandbox that was acknowledged.
#[derive(Debug, Clone, Default)]
pub(crate) struct SandboxPromise {
    /// Its end was acknowledged.
    pub(crate) ended: bool,
    /// Files that are in it: path, first byte and size.
    pub(crate) files: Vec<FilePromise>,
}

/// A file of one byte, again and again.
#[derive(Debug, Clone)]
pub(crate) struct FilePromise {
    pub(crate) path: String,
    pub(crate) byte: u8,
    pub(crate) size: usize,
}

/// An execution that was acknowledged, and its end if that was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExecutionPromise {
    pub(crate) finished: Option<ExecutionRecord>,
}

impl Journal {
    pub(crate) fn sandbox(&self, id: SandboxId, change: impl FnOnce(&mut SandboxPromise)) {
        change(lock(&self.0).sandboxes.entry(id).or_default());
    }

    pub(crate) fn execution(&self, id: ExecutionId, change: impl FnOnce(&mut ExecutionPromise)) {
        change(lock(&self.0).executions.entry(id).or_default());
    }

    /// A client has got a sandbox; whether it is the first.
    pub(crate) fn given(&self, id: SandboxId) -> bool {
        lock(&self.0).given.insert(id)
    }

    pub(crate) fn unwanted(&self, id: SandboxId) {
        lock(&self.0).unwanted.insert(id);
    }

    pub(crate) fn is_unwanted(&self, id: SandboxId) -> bool {
        lock(&self.0).unwanted.contains(&id)
    }

    /// A pause was acknowledged, or is to end.
    pub(crate) fn pause(&self, id: SandboxId, paused: bool) {
        let mut promises = lock(&self.0);
        if paused {
            promises.paused.insert(id);
        } else {
            promises.paused.remove(&id);
        }
    }

    pub(crate) fn is_paused(&self, id: SandboxId) -> bool {
        lock(&self.0).paused.contains(&id)
    }

    pub(crate) fn is_promised(&self, id: SandboxId) -> bool {
        lock(&self.0).sandboxes.contains_key(&id)
    }

    pub(crate) fn sandboxes(&self) -> BTreeMap<SandboxId, SandboxPromise> {
        lock(&self.0).sandboxes.clone()
    }

    pub(crate) fn executions(&self) -> BTreeMap<ExecutionId, ExecutionPromise> {
        lock(&self.0).executions.clone()
    }

    pub(crate) fn answered(&self, how: &'static str) {
        *lock(&self.0).answers.entry(how).or_default() += 1;
    }

    pub(crate) fn answers(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.0).answers.clone()
    }
}
