//! What the server says of a sandbox's use: for the day when it cannot say anything, and for the engine, which can have
//! a sandbox rest that nobody uses.

use std::sync::Arc;

use sentinal_model::limits::TTL_MAX;
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
                self.rest_or_rouse(&record, keep).await;
                let busy_until = self.clock.now().after(keep.busy_for.min(TTL_MAX));
                self.move_end(&mut held, Record { busy_until, ..record }).await
            }
            stage @ (Stage::Placed | Stage::Booting | Stage::Ended(_) | Stage::Halting) => {
                Err(wrong_state(keep.id, stage))
            }
        }
    }

    /// Only a saving: one that cannot be had is no error of anybody's.
    async fn rest_or_rouse(&self, record: &Record, keep: Keep) {
        let Ok(engine) = self.engine(record.engine) else { return };
        let change = async {
            if keep.busy_for.is_zero() { engine.rest(&record.id).await } else { engine.rouse(&record.id).await }
        };
        match timeout(limits::REST_DEADLINE, change).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(sandbox = %record.id, %error, "sandbox cannot be let rest or roused"),
            Err(_) => tracing::warn!(sandbox = %record.id, "engine takes too long to let a sandbox rest or rouse it"),
        }
    }
}
