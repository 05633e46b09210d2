//! What the server says of a sandbox's use: for the day when it cannot say anything, and for the engine, which can have
//! a sandbox rest that nobody uses.

use std::sync::Arc;

use sentinal_model::{Millis, limits::TTL_MAX};
use sentinal_node_protocol::Keep;
use tokio::time::timeout;

use super::{Host, hold::Held, wrong_state};
use crate::{
    error::NodeError,
    limits,
    record::{Record, Stage},
};

impl Host {
    /// Counts the sandbox's idle time from a later moment, or from now.
    pub(crate) async fn keep(self: Arc<Self>, keep: Keep) -> Result<(), NodeError> {
        let entry = self.table.find(keep.id, keep.generation)?.ok_or(NodeError::NotFound { id: keep.id })?;
        let mut held = Held::of(entry).await;
        held.still_asked(keep.generation)?;
        let record = held.record().cloned().ok_or(NodeError::NotFound { id: keep.id })?;
        match record.stage {
            Stage::Up | Stage::Paused => {
                let (now, before) = (self.clock.now(), record.busy_until);
                let record = said(record, keep, now);
                if before <= now || record.busy_until <= now {
                    self.rest_or_rouse(&record).await;
                }
                self.move_end(&mut held, record).await
            }
            stage @ (Stage::Placed | Stage::Booting | Stage::Ended(_) | Stage::Halting) => {
                Err(wrong_state(keep.id, stage))
            }
        }
    }

    /// Only a saving: one that cannot be had is no error of anybody's.
    async fn rest_or_rouse(&self, record: &Record) {
        let Ok(engine) = self.engine(record.engine) else { return };
        let is_used = self.clock.now() < record.busy_until;
        let change = async { if is_used { engine.rouse(&record.id).await } else { engine.rest(&record.id).await } };
        match timeout(limits::REST_DEADLINE, change).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(sandbox = %record.id, %error, "sandbox cannot be let rest or roused"),
            Err(_) => tracing::warn!(sandbox = %record.id, "engine takes too long to let a sandbox rest or rouse it"),
        }
    }
}

/// The record after what was said. A word that was overtaken by another may add to it and takes nothing back: if it said
/// that nobody uses the sandbox, somebody may by now.
fn said(record: Record, keep: Keep, now: Millis) -> Record {
    let busy_until = now.after(keep.busy_for.min(TTL_MAX));
    if record.said_at < keep.said_at {
        return Record { busy_until, said_at: keep.said_at, ..record };
    }
    Record { busy_until: busy_until.max(record.busy_until), ..record }
}
