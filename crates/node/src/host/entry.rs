//! One sandbox on this host, in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sentinal_model::{EngineName, Generation, Millis, SandboxId, limits::TTL_MAX};
use sentinal_node_protocol::{HostUsage, InstanceState, NodeInstance};
use tokio::{sync::Mutex as AsyncMutex, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{error::NodeError, record::Record};

/// A sandbox from its first request to its halt. After a halt there is a new entry.
#[derive(Debug)]
pub(super) struct Entry {
    id: SandboxId,
    face: Mutex<Face>,
    /// Cancelled when a halt was accepted or the ttl ran out. Never taken back: the entry ends with it.
    pub(super) halting: CancellationToken,
    /// What verbs take in turn.
    pub(super) slot: Arc<AsyncMutex<Slot>>,
}

/// What can be seen without waiting for a verb.
#[derive(Debug)]
struct Face {
    seen: Generation,
    shown: Option<(EngineName, InstanceState)>,
}

/// What there is of a sandbox.
#[derive(Debug)]
pub(super) enum Slot {
    /// Nothing yet.
    Empty,
    /// What was placed.
    Placed(Box<Placed>),
    /// An engine has it and no record tells of it.
    Orphan {
        engine: EngineName,
        /// Ends it at last, should nobody else.
        timer: Option<AbortOnDropHandle<()>>,
    },
    /// It was halted while the caller waited for its turn: this is the entry's end.
    Gone,
}

/// A sandbox with a record, and who looks after it.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) record: Record,
    /// The end of its ttl, and when that is on the monotonic clock.
    ttl_end: Option<(Millis, Instant)>,
    /// Halts it when its ttl runs out.
    pub(super) timer: Option<AbortOnDropHandle<()>>,
    /// Waits for its end while it is up.
    pub(super) watcher: Option<AbortOnDropHandle<()>>,
    /// What it had used, if it was ended here before the halt was asked for.
    pub(super) usage: HostUsage,
}

impl Entry {
    pub(super) fn new(id: SandboxId, seen: Generation) -> Self {
        Self {
            id,
            face: Mutex::new(Face { seen, shown: None }),
            halting: CancellationToken::new(),
            slot: Arc::new(AsyncMutex::new(Slot::Empty)),
        }
    }

    pub(super) const fn id(&self) -> SandboxId {
        self.id
    }

    /// Refuses a generation older than the newest seen, else remembers it.
    pub(super) fn see(&self, asked: Generation) -> Result<(), NodeError> {
        let mut face = self.face();
        if asked < face.seen {
            return Err(NodeError::OlderGeneration { id: self.id, asked, seen: face.seen });
        }
        face.seen = asked;
        Ok(())
    }

    /// The newest generation seen.
    pub(super) fn seen(&self) -> Generation {
        self.face().seen
    }

    /// From now on it looks like this to whoever lists.
    pub(super) fn show(&self, engine: EngineName, state: InstanceState) {
        self.face().shown = Some((engine, state));
    }

    /// What a list says of it; nothing while its first verb is under way.
    pub(super) fn shown(&self) -> Option<NodeInstance> {
        let face = self.face();
        face.shown.map(|(engine, state)| NodeInstance { id: self.id, generation: face.seen, engine, state })
    }

    fn face(&self) -> MutexGuard<'_, Face> {
        self.face.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Placed {
    pub(super) fn new(record: Record) -> Self {
        Self { record, ttl_end: None, timer: None, watcher: None, usage: HostUsage::default() }
    }

    /// When its ttl runs out on the monotonic clock: counted once for each end that it is given, so that a wall clock
    /// that steps meanwhile neither shortens nor lengthens it.
    pub(super) fn ttl_ends_at(&mut self, now: Millis) -> Instant {
        let end = self.record.expires_at;
        let counted = || (end, Instant::now() + end.since(now).min(TTL_MAX));
        let known = self.ttl_end.filter(|(known, _)| *known == end);
        self.ttl_end.insert(known.unwrap_or_else(counted)).1
    }
}
