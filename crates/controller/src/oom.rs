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
        if !looks_killed(told) {
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
        let Some(after) = take(*accounted, counted, context.live.is_alone_in(id)) else { return told };
        *accounted = after;
        ExecutionOutcome::Oom
    }
}

const fn looks_killed(told: ExecutionOutcome) -> bool {
    matches!(told, ExecutionOutcome::Signaled(SIGKILL) | ExecutionOutcome::Exited(SHELL_KILLED))
}

/// How many kills are accounted for when one program more has been killed; `None` if it was not for want of memory.
fn take(accounted: u64, counted: u64, is_alone: bool) -> Option<u64> {
    // Kills of a program's children are its own as well, where nobody else could have had them.
    (accounted < counted).then(|| if is_alone { counted } else { accounted + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ended_as_if_it_had_been_killed_is_asked_for() {
        for (told, expected) in [
            (ExecutionOutcome::Signaled(9), true),
            (ExecutionOutcome::Exited(137), true),
            (ExecutionOutcome::Signaled(15), false),
            (ExecutionOutcome::Exited(9), false),
            (ExecutionOutcome::Exited(0), false),
            (ExecutionOutcome::Timeout, false),
        ] {
            assert_eq!(looks_killed(told), expected, "{told:?}");
        }
    }

    #[test]
    fn each_program_takes_one_kill_that_nobody_has_taken() {
        assert_eq!(take(0, 0, false), None);
        assert_eq!(take(0, 2, false), Some(1));
        assert_eq!(take(1, 2, false), Some(2));
        assert_eq!(take(2, 2, false), None, "this one somebody killed");
    }

    #[test]
    fn one_that_is_alone_takes_those_of_its_children_too() {
        assert_eq!(take(1, 5, true), Some(5));
        assert_eq!(take(5, 5, true), None);
    }
}
