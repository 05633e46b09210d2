//! What the server says of a sandbox's use, for the day when it cannot say anything.

use std::sync::Arc;

use sentinal_model::limits::TTL_MAX;
use sentinal_node_protocol::Keep;

use super::{Host, hold::Held, wrong_state};
use crate::{
    error::NodeError,
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
                let busy_until = self.clock.now().after(keep.busy_for.min(TTL_MAX));
                self.move_end(&mut held, Record { busy_until, ..record }).await
            }
            stage @ (Stage::Placed | Stage::Booting | Stage::Ended(_) | Stage::Halting) => {
                Err(wrong_state(keep.id, stage))
            }
        }
    }
}
