//! What must be in the sums of what was used: everything, and nothing twice.

use std::collections::{BTreeMap, BTreeSet};

use sentinal_controller::ExecutionState;
use sentinal_model::{ExecutionId, SandboxId, TenantId, UsageSum};
use sentinal_store::Write;

use super::Ledger;
use crate::world::lock;

/// What a store counts at once of a clock that was wrong.
const SPAN_MS_MAX: u64 = 31 * 24 * 3_600_000;

/// What was ever written down, removed or not.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// How long each was there by its own record, in milliseconds.
    sandboxes: BTreeMap<SandboxId, u64>,
    executions: BTreeSet<ExecutionId>,
}

impl Counted {
    pub(super) fn count(&mut self, write: &Write) {
        if let Write::Sandbox(record) = write
            && record.tenant != TenantId::nobody()
        {
            let there = record.finished_at.map(|at| at.since(record.created_at)).unwrap_or_default();
            let there_ms = u64::try_from(there.as_millis()).unwrap_or(u64::MAX);
            self.sandboxes.insert(record.id, there_ms.min(SPAN_MS_MAX));
        } else if let Write::Execution(record) = write
            && matches!(record.state, ExecutionState::Finished { .. })
        {
            self.executions.insert(record.id);
        }
    }
}

impl Ledger {
    /// Whether the sums are what was written down. A clock that jumped ahead may have counted more time, and never less.
    pub(crate) fn check_usage(&self, sum: UsageSum) -> Result<(), String> {
        let books = lock(&self.books);
        let Counted { sandboxes, executions } = &books.counted;
        let ended: u64 = sum.executions.iter().sum();
        if (sum.sandboxes, ended) != (length(sandboxes.len()), length(executions.len())) {
            let (created, finished) = (sandboxes.len(), executions.len());
            return Err(format!("{created} sandboxes and {finished} executions are counted as {sum:?}"));
        }
        let there_ms: u64 = sandboxes.values().sum();
        if sum.sandbox_ms < there_ms {
            return Err(format!("{there_ms} ms of sandboxes are counted as {sum:?}"));
        }
        Ok(())
    }
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
