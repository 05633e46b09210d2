//! Noticing that an instance has ended by itself.

use std::sync::Arc;

use sentinal_engine::{EndReason as Gone, EngineError};
use sentinal_model::{EngineName, Millis, SandboxId};
use sentinal_node_protocol::{EndReason, NodeEvent};
use tokio::time::sleep;

use super::{
    Host,
    entry::{Entry, Slot},
    hold::Held,
};
use crate::{
    limits,
    record::{Record, Stage},
};

impl Host {
    /// Waits for the end of an instance that is up, beside all verbs.
    pub(super) fn start_watcher(self: &Arc<Self>, held: &mut Held) {
        let (host, entry) = (Arc::clone(self), Arc::clone(&held.entry));
        if let Slot::Placed(placed) = &mut *held.slot {
            let engine = placed.record.engine;
            placed.watcher = Some(self.beside(host.watch(engine, entry)));
        }
    }

    async fn watch(self: Arc<Self>, engine: EngineName, entry: Arc<Entry>) {
        let reason = self.end_of(engine, &entry.id()).await;
        let mut held = Held::of(entry).await;
        if held.stage().is_some_and(Stage::is_up) && !held.entry.halting.is_cancelled() {
            let reason = held.record().map(|record| why(record, reason, self.clock.now()));
            self.ended(&mut held, reason.unwrap_or(EndReason::Exited)).await;
        }
    }

    async fn end_of(&self, name: EngineName, id: &SandboxId) -> Gone {
        let mut backoff = limits::BACKOFF_MIN;
        loop {
            let ended = match self.engine(name) {
                Ok(engine) => engine.ended(id).await,
                Err(_) => Err(EngineError::NotFound(*id)),
            };
            match ended {
                Ok(reason) => return reason,
                Err(EngineError::NotFound(_)) => return Gone::Exited,
                Err(error) => tracing::warn!(sandbox = %id, %error, "end of the instance cannot be watched"),
            }
            sleep(backoff).await;
            backoff = (backoff * 2).min(limits::BACKOFF_MAX);
        }
    }

    /// Writes the end down, then tells whoever watches.
    pub(super) async fn ended(&self, held: &mut Held, reason: EndReason) {
        let Some(record) = held.record().map(|record| record.at(Stage::Ended(reason))) else { return };
        self.note(held, record.clone()).await;
        self.tell_end(held, record, reason);
    }

    /// Goes by a record that is on the disk and says that the instance has ended, and tells whoever watches.
    pub(super) fn tell_end(&self, held: &mut Held, record: Record, reason: EndReason) {
        let (id, generation) = (record.id, held.entry.seen());
        held.keep(record);
        tracing::info!(sandbox = %id, ?reason, "instance ended");
        self.tell(NodeEvent::InstanceEnded { id, generation, reason });
    }
}

/// Why an instance ended. The engine does not know that its agent ended it, which it does when the time is over.
pub(super) fn why(record: &Record, gone: Gone, now: Millis) -> EndReason {
    let was_idle =
        record.stage == Stage::Up && record.idle_timeout.is_some_and(|idle| record.busy_until.after(idle) <= now);
    match gone {
        Gone::Oom => EndReason::Oom,
        Gone::Exited if record.expires_at < now => EndReason::Expired,
        Gone::Exited if was_idle => EndReason::Idle,
        Gone::Exited => EndReason::Exited,
    }
}
