//! The sandboxes that are not finished, by their ids.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sentinal_model::{Result, SandboxId};

use crate::entry::Entry;

/// All entries by id.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Mutex<BTreeMap<SandboxId, Arc<Entry>>>,
}

impl Table {
    pub(crate) fn get(&self, id: SandboxId) -> Option<Arc<Entry>> {
        self.lock().get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        self.lock().insert(entry.record().id, entry);
    }

    pub(crate) fn remove(&self, id: SandboxId) {
        self.lock().remove(&id);
    }

    /// Decides with nobody in between: how room is promised once, and how a pooled sandbox is taken once. What was
    /// decided on is in the table afterwards.
    pub(crate) fn place_with<T>(
        &self,
        place: impl FnOnce(&[Arc<Entry>]) -> Result<(Arc<Entry>, T)>,
    ) -> Result<(Arc<Entry>, T)> {
        let mut entries = self.lock();
        let all: Vec<_> = entries.values().cloned().collect();
        let (entry, told) = place(&all)?;
        entries.insert(entry.record().id, Arc::clone(&entry));
        Ok((entry, told))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SandboxId, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
