//! Telling a program that the kernel ended for want of memory from one that somebody killed.
//!
//! The host counts such ends for each sandbox and does not say whose they were. A program that ended as if it had been
//! killed takes one that nobody has taken yet.

use sentinal_model::{ExecutionOutcome, SandboxId};
use tokio::sync::Mutex;

use crate::context::Context;

/// What a shell ends with whose program was killed: 128 and the signal's number.
const SHELL_KILLED: i32 = 128 + SIGKILL;
const SIGKILL: i32 = 9;

/// How many of a sandbox's kills have been accounted for.
#[derive(Debug, Default)]
pub(crate) struct OomKills(Mutex<u64>);

impl OomKills {
    /// The outcome as it is known to the host. Costs nothing unless the program was killed.
    pub(crate) async fn explain(&self, context: &Context, id: SandboxId, told: ExecutionOutcome) -> ExecutionOutcome {
        if !matches!(told, ExecutionOutcome::Signaled(SIGKILL) | ExecutionOutcome::Exited(SHELL_KILLED)) {
            return told;
        }
        let mut accounted = self.0.lock().await;
        let counted = match context.node().stats(id).await {
            Ok(usage) => usage.oom_kills,
            Err(error) => {
                tracing::debug!(sandbox = %id, ?error, "whether memory was short is not known");
                return told;
            }
        };
        if counted <= *accounted {
            return told;
        }
        // Kills of a program's children are its own as well, where nobody else could have had them.
        *accounted = if context.live.is_alone_in(id) { counted } else { *accounted + 1 };
        ExecutionOutcome::Oom
    }
}
