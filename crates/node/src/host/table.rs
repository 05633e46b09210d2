//! Which sandboxes there are, and which there were.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sentinal_model::{Generation, SandboxId, limits::SANDBOXES_PER_NODE_MAX};
use tokio::time::Instant;

use super::{entry::Entry, tombstones::Tombstones};
use crate::error::NodeError;

/// Never held across a wait.
#[derive(Debug, Default)]
pub(super) struct Table(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    entries: BTreeMap<SandboxId, Arc<Entry>>,
    tombstones: Tombstones,
}

impl Table {
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.rows().entries.values().cloned().collect()
    }

    pub(super) fn get(&self, id: &SandboxId) -> Option<Arc<Entry>> {
        self.rows().entries.get(id).cloned()
    }

    /// The sandbox of a request with this generation, which must not be older than any seen.
    pub(super) fn find(&self, id: SandboxId, asked: Generation) -> Result<Option<Arc<Entry>>, NodeError> {
        self.rows().find(id, asked)
    }

    /// As [`Table::find`]; makes an entry where there is none and room for one.
    pub(super) fn find_or_add(&self, id: SandboxId, asked: Generation) -> Result<Arc<Entry>, NodeError> {
        let mut rows = self.rows();
        if let Some(entry) = rows.find(id, asked)? {
            return Ok(entry);
        }
        if SANDBOXES_PER_NODE_MAX <= rows.entries.len() {
            return Err(NodeError::Full { max: SANDBOXES_PER_NODE_MAX });
        }
        Ok(rows.add(id, asked))
    }

    /// As [`Table::find_or_add`], but there is always room: for what exists already, and to remove it.
    pub(super) fn find_or_admit(&self, id: SandboxId, asked: Generation) -> Result<Arc<Entry>, NodeError> {
        let mut rows = self.rows();
        if let Some(entry) = rows.find(id, asked)? {
            return Ok(entry);
        }
        Ok(rows.add(id, asked))
    }

    /// Whether the sandbox was halted not long ago.
    pub(super) fn was_halted(&self, id: &SandboxId) -> bool {
        self.rows().tombstones.seen(id).is_some()
    }

    /// The entry has come to its end. Older requests for the sandbox are refused from now on.
    pub(super) fn bury(&self, entry: &Arc<Entry>) {
        let mut rows = self.rows();
        if rows.remove(entry) {
            rows.tombstones.bury(entry.id(), entry.seen(), Instant::now());
        }
    }

    /// The entry never came to anything; it may be tried again.
    pub(super) fn forget(&self, entry: &Arc<Entry>) {
        self.rows().remove(entry);
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn find(&self, id: SandboxId, asked: Generation) -> Result<Option<Arc<Entry>>, NodeError> {
        if let Some(entry) = self.entries.get(&id) {
            entry.see(asked)?;
            return Ok(Some(Arc::clone(entry)));
        }
        match self.tombstones.seen(&id) {
            Some(seen) if asked < seen => Err(NodeError::OlderGeneration { id, asked, seen }),
            Some(_) | None => Ok(None),
        }
    }

    fn add(&mut self, id: SandboxId, seen: Generation) -> Arc<Entry> {
        let entry = Arc::new(Entry::new(id, seen));
        self.entries.insert(id, Arc::clone(&entry));
        entry
    }

    fn remove(&mut self, entry: &Arc<Entry>) -> bool {
        let id = entry.id();
        let current = self.entries.get(&id).is_some_and(|current| Arc::ptr_eq(current, entry));
        if current {
            self.entries.remove(&id);
        }
        current
    }
}
