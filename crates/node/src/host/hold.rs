//! Taking a sandbox's turn.

use std::sync::Arc;

use sentinal_model::Generation;
use tokio::sync::OwnedMutexGuard;

use super::{
    Host,
    entry::{Entry, Slot},
};
use crate::{
    error::NodeError,
    record::{Record, Stage},
};

/// A sandbox whose turn this is. Other verbs for it wait.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) entry: Arc<Entry>,
    pub(super) slot: OwnedMutexGuard<Slot>,
}

impl Held {
    /// Waits for the turn. The entry may have come to its end meanwhile: then its slot is [`Slot::Gone`].
    pub(super) async fn of(entry: Arc<Entry>) -> Self {
        let slot = Arc::clone(&entry.slot).lock_owned().await;
        Self { entry, slot }
    }

    /// Refuses a request that a newer one has overtaken while it waited.
    pub(super) fn still_asked(&self, asked: Generation) -> Result<(), NodeError> {
        self.entry.see(asked)
    }

    /// Refuses a halt that a newer request has overtaken. One that still waits behind it has not.
    pub(super) fn not_overtaken(&self, asked: Generation) -> Result<(), NodeError> {
        match self.record() {
            Some(record) if asked < record.generation => {
                Err(NodeError::OlderGeneration { id: record.id, asked, seen: record.generation })
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        match &*self.slot {
            Slot::Placed(placed) => Some(&placed.record),
            Slot::Empty | Slot::Orphan { .. } | Slot::Gone => None,
        }
    }

    /// How far the sandbox has come; `None` without a record.
    pub(super) fn stage(&self) -> Option<Stage> {
        self.record().map(|record| record.stage)
    }

    /// Takes over a record that is on the disk.
    pub(super) fn keep(&mut self, record: Record) {
        self.entry.show(record.engine, record.stage.shown());
        match &mut *self.slot {
            Slot::Placed(placed) => placed.record = record,
            slot @ (Slot::Empty | Slot::Orphan { .. } | Slot::Gone) => {
                *slot = Slot::Placed(Box::new(super::entry::Placed::new(record)));
            }
        }
    }
}

impl Host {
    /// Writes the record down, then goes by it.
    pub(super) async fn write(&self, held: &mut Held, record: Record) -> Result<(), NodeError> {
        let folder = self.folder.instance(&record.id);
        let written = record.clone();
        self.on_disk(move || folder.write(&written)).await.map_err(NodeError::files("write its record"))?;
        held.keep(record);
        Ok(())
    }

    /// As [`Host::write`] for what has happened already, with or without the disk's consent: what removes
    /// things must not need room for it.
    pub(super) async fn note(&self, held: &mut Held, record: Record) {
        if let Err(error) = self.write(held, record.clone()).await {
            tracing::warn!(sandbox = %record.id, %error, "record not written");
            held.keep(record);
        }
    }
}
