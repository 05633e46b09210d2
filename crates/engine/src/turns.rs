//! Verbs of an engine on this host: one at a time changes an instance, and each goes to its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sentinal_model::SandboxId;
use tokio::{sync::OwnedMutexGuard, time::timeout};

use crate::EngineError;

/// Who changes which instance now, and which instances are nobody's to see.
#[derive(Debug, Default)]
pub struct Turns {
    locks: Mutex<BTreeMap<SandboxId, Arc<tokio::sync::Mutex<()>>>>,
    hidden: Mutex<BTreeSet<SandboxId>>,
}

/// An instance that is hidden until this is dropped.
#[derive(Debug)]
pub struct Hidden<'a> {
    turns: &'a Turns,
    id: SandboxId,
}

impl Turns {
    /// Waits until nobody else changes the instance; nobody else does until the answer is dropped.
    pub async fn take(&self, id: &SandboxId) -> OwnedMutexGuard<()> {
        self.lock(id).lock_owned().await
    }

    /// Hides the instance of a probe.
    pub fn hide(&self, id: SandboxId) -> Hidden<'_> {
        held(&self.hidden).insert(id);
        Hidden { turns: self, id }
    }

    /// Whether it is the instance of a probe.
    pub fn is_hidden(&self, id: &SandboxId) -> bool {
        held(&self.hidden).contains(id)
    }

    fn lock(&self, id: &SandboxId) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = held(&self.locks);
        locks.retain(|_, lock| 1 < Arc::strong_count(lock));
        Arc::clone(locks.entry(*id).or_default())
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        held(&self.turns.hidden).remove(&self.id);
    }
}

/// Runs in a task of its own, so that dropping the caller's future cannot leave a change half done without
/// its lock. The task ends by itself: every step in it has a deadline.
pub async fn to_its_end<T: Send + 'static>(
    what: &str,
    deadline: Duration,
    work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
) -> Result<T, EngineError> {
    let ended = timeout(deadline, tokio::spawn(work)).await;
    let ended = ended.map_err(|_| EngineError::Deadline { what: what.to_owned(), deadline })?;
    ended.map_err(|error| EngineError::Io { what: format!("finish {what}"), source: error.into() })?
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
