//! What the store has taken, commit by commit, and what must be true of each.

mod execution;
mod sandbox;
mod usage;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use sentinal_controller::{ExecutionRecord, ExecutionState, SandboxRecord};
use sentinal_model::{ExecutionId, Millis, SandboxId};
use sentinal_store::Write;

use crate::{
    journal::Journal,
    machine::Machine,
    outputs::OutputDisk,
    world::{World, lock},
};

/// A second set of books.
#[derive(Debug)]
pub(crate) struct Ledger {
    world: Arc<World>,
    machine: Arc<Machine>,
    outputs: Arc<OutputDisk>,
    journal: Arc<Journal>,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    sandboxes: BTreeMap<SandboxId, Known<SandboxRecord>>,
    executions: BTreeMap<ExecutionId, Known<ExecutionRecord>>,
    /// Of which the server was told that the store had not taken them.
    untold: BTreeSet<ExecutionId>,
    /// Removed at the end of the retention time.
    removed: BTreeSet<SandboxId>,
    counted: usage::Counted,
}

/// A record and since when it is known, on the clock that does not jump.
#[derive(Debug, Clone)]
struct Known<R> {
    record: R,
    since: Duration,
}

impl Ledger {
    pub(crate) fn new(
        world: Arc<World>,
        machine: Arc<Machine>,
        outputs: Arc<OutputDisk>,
        journal: Arc<Journal>,
    ) -> Self {
        Self { world, machine, outputs, journal, books: Mutex::default() }
    }

    /// The store has taken a batch.
    pub(crate) fn commit(&self, writes: &[Write]) {
        for write in writes {
            lock(&self.books).counted.count(write);
            let checked = if let Write::Sandbox(record) = write {
                self.sandbox(record)
            } else if let Write::Execution(record) = write {
                self.execution(record)
            } else {
                Ok(())
            };
            if let Err(why) = checked {
                self.world.wrong(format_args!("{why}"));
            }
        }
    }

    /// The server was told that the store had not taken a batch, which it had.
    pub(crate) fn untold(&self, writes: &[Write]) {
        let mut books = lock(&self.books);
        for write in writes {
            if let Write::Execution(record) = write {
                books.untold.insert(record.id);
            }
        }
    }

    /// The store has removed what ended before then.
    pub(crate) fn remove_finished(&self, before: Millis) {
        let mut books = lock(&self.books);
        let old = |known: &Known<SandboxRecord>| known.record.finished_at.is_some_and(|at| at < before);
        let gone: BTreeSet<_> = books.sandboxes.iter().filter(|(_, known)| old(known)).map(|(id, _)| *id).collect();
        books.sandboxes.retain(|id, _| !gone.contains(id));
        books.executions.retain(|_, known| !gone.contains(&known.record.sandbox));
        books.removed.extend(gone);
    }

    /// Whether an instance of this sandbox may be booted, or why not.
    pub(crate) fn may_boot(&self, id: &SandboxId) -> Result<(), String> {
        match self.find(id) {
            Some(record) if record.phase.is_finished() => Err(format!("whose row says {:?}", record.phase)),
            Some(_) => Ok(()),
            None => Err("of which there is no row".to_owned()),
        }
    }

    pub(crate) fn find(&self, id: &SandboxId) -> Option<SandboxRecord> {
        lock(&self.books).sandboxes.get(id).map(|known| known.record.clone())
    }

    pub(crate) fn find_execution(&self, id: &ExecutionId) -> Option<ExecutionRecord> {
        lock(&self.books).executions.get(id).map(|known| known.record.clone())
    }

    /// Whether its record's time was over.
    pub(crate) fn was_removed(&self, id: &SandboxId) -> bool {
        lock(&self.books).removed.contains(id)
    }

    /// Every sandbox that is not finished.
    pub(crate) fn unfinished(&self) -> Vec<SandboxRecord> {
        let books = lock(&self.books);
        books
            .sandboxes
            .values()
            .map(|known| known.record.clone())
            .filter(|record| !record.phase.is_finished())
            .collect()
    }

    /// Every execution that is not finished.
    pub(crate) fn running(&self) -> Vec<ExecutionId> {
        let books = lock(&self.books);
        let all = books.executions.values().map(|known| &known.record);
        all.filter(|record| record.state == ExecutionState::Running).map(|record| record.id).collect()
    }

    /// Every execution that has a record.
    pub(crate) fn executions(&self) -> Vec<ExecutionRecord> {
        lock(&self.books).executions.values().map(|known| known.record.clone()).collect()
    }
}
