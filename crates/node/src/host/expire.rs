//! The ttl and the idle timeout, enforced by the node itself: nobody else has to be alive for it.
//!
//! The end is a moment of the wall clock, which may step; what is waited for is a moment of the monotonic clock, taken
//! once for each end that is asked for, when it is asked for or found, and never later than any ttl. Whether a sandbox is idle the
//! server says ([`super::keep`]); what it said last is in the record, so that neither a server that is dead nor a node
//! that is started again ends a sandbox in which an execution may still run.

use std::sync::Arc;

use sentinal_model::limits::{NODE_TTL_GRACE, TTL_MAX};
use sentinal_node_protocol::EndReason;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Host,
    entry::{Entry, Slot},
    hold::Held,
    wrong_state,
};
use crate::{
    error::NodeError,
    limits,
    record::{Record, Stage},
};

/// When the node ends a sandbox by itself, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    at: Instant,
    reason: EndReason,
}

/// What became of an attempt to end an expired sandbox.
enum Attempt {
    Done,
    TryAgain,
}

impl Host {
    /// (Re)starts the sandbox's timer. One that nothing is known of has the longest ttl.
    pub(super) fn start_timer(self: &Arc<Self>, held: &mut Held) {
        let end = self.end(held);
        self.start_timer_for(held, end);
    }

    /// Writes down another end for what is up, and keeps to it; refuses when the one before has come.
    pub(super) async fn move_end(self: &Arc<Self>, held: &mut Held, record: Record) -> Result<(), NodeError> {
        // Stopped before the record says otherwise: a timer that goes off meanwhile must not be the old one's.
        held.stop_timer().await;
        if held.entry.halting.is_cancelled() {
            let end = End { at: Instant::now(), ..self.end(held) };
            self.start_timer_for(held, end);
            return Err(wrong_state(record.id, Stage::Halting));
        }
        let written = self.write(held, record).await;
        self.start_timer(held);
        written
    }

    /// Ends at once what a record says has ended: the node that wrote it may not have come to that.
    pub(super) fn finish_end(self: &Arc<Self>, held: &mut Held, reason: EndReason) {
        self.start_timer_for(held, End { at: Instant::now(), reason });
    }

    fn start_timer_for(self: &Arc<Self>, held: &mut Held, end: End) {
        let (host, entry) = (Arc::clone(self), Arc::clone(&held.entry));
        let started = self.beside(host.expire(entry, end.at, end.reason));
        match &mut *held.slot {
            Slot::Placed(placed) => placed.timer = Some(started),
            Slot::Orphan { timer, .. } => *timer = Some(started),
            Slot::Empty | Slot::Gone => {}
        }
    }

    /// When and why a sandbox is ended here. A moment that has passed counts from now: whoever might have said something
    /// else had no chance to while no node ran.
    fn end(&self, held: &mut Held) -> End {
        let now = self.clock.now();
        let Slot::Placed(placed) = &mut *held.slot else {
            return End { at: Instant::now() + TTL_MAX + NODE_TTL_GRACE, reason: EndReason::Expired };
        };
        let expired = End { at: placed.ttl_ends_at(now) + NODE_TTL_GRACE, reason: EndReason::Expired };
        let record = Some(&placed.record).filter(|record| record.stage == Stage::Up);
        let idle = record.and_then(|record| {
            let left = record.busy_until.since(now).min(TTL_MAX) + record.idle_timeout? + limits::IDLE_GRACE;
            Some(End { at: Instant::now() + left, reason: EndReason::Idle })
        });
        idle.filter(|idle| idle.at < expired.at).unwrap_or(expired)
    }

    async fn expire(self: Arc<Self>, entry: Arc<Entry>, at: Instant, reason: EndReason) {
        sleep_until(at).await;
        entry.halting.cancel();
        let mut backoff = limits::BACKOFF_MIN;
        while let Attempt::TryAgain = self.end_expired(&entry, reason).await {
            sleep(backoff).await;
            backoff = (backoff * 2).min(limits::BACKOFF_MAX);
        }
    }

    async fn end_expired(self: &Arc<Self>, entry: &Arc<Entry>, reason: EndReason) -> Attempt {
        let mut held = Held::of(Arc::clone(entry)).await;
        let engine = match &*held.slot {
            Slot::Placed(placed) => placed.record.engine,
            Slot::Orphan { engine, .. } => *engine,
            Slot::Empty | Slot::Gone => return Attempt::Done,
        };
        let ended = self.write_end(&held, reason).await;
        match self.halt_engine(engine, &entry.id()).await {
            Ok(usage) => {
                if let Slot::Placed(placed) = &mut *held.slot {
                    placed.usage = usage;
                }
                self.clear(entry).await;
                match (ended, held.stage()) {
                    (Some(record), _) => self.tell_end(&mut held, record, reason),
                    (None, Some(_)) => {}
                    (None, None) => self.forget_orphan(&mut held),
                }
                Attempt::Done
            }
            Err(error) => {
                tracing::error!(sandbox = %entry.id(), %error, "expired sandbox cannot be ended yet");
                Attempt::TryAgain
            }
        }
    }

    /// Writes down why a sandbox is about to end, so that the next node ends it if this one cannot, and knows. Until it
    /// has ended its record in memory stays as it is. `None` if there is none, or it says already that all is over.
    async fn write_end(&self, held: &Held, reason: EndReason) -> Option<Record> {
        let record = held.record().filter(|record| !matches!(record.stage, Stage::Ended(_) | Stage::Halting))?;
        let record = record.at(Stage::Ended(reason));
        let (folder, written) = (self.folder.instance(&record.id), record.clone());
        if let Err(error) = self.on_disk(move || folder.write(&written)).await {
            tracing::warn!(sandbox = %record.id, %error, "record of a sandbox that ends not written");
        }
        Some(record)
    }

    /// The record stays until the server has asked for the halt, so that it learns why.
    async fn clear(&self, entry: &Entry) {
        let folder = self.folder.instance(&entry.id());
        if let Err(error) = self.on_disk(move || folder.clear()).await.map_err(NodeError::files("clear its folder")) {
            tracing::warn!(sandbox = %entry.id(), %error, "files of an expired sandbox stay until its halt");
        }
    }

    fn forget_orphan(&self, held: &mut Held) {
        // The timer is this very task; it ends by itself.
        if let Slot::Orphan { timer: Some(timer), .. } = std::mem::replace(&mut *held.slot, Slot::Gone) {
            drop(timer.detach());
        }
        self.table.forget(&held.entry);
    }
}

impl Held {
    /// Stops the sandbox's timer and waits until it does nothing any more.
    pub(super) async fn stop_timer(&mut self) {
        if let Slot::Placed(placed) = &mut *self.slot
            && let Some(timer) = placed.timer.take()
        {
            timer.abort();
            // Cancelled or over, it is at its end.
            let _ = timer.await;
        }
    }
}
