//! Tells the node how long a sandbox with an idle timeout is certainly in use, so that the node can end it when this
//! server is not alive, and does not while an execution may run that this server started.
//!
//! Nobody waits for that. A sandbox in use is told of again only when what the node knows falls short, and then with
//! some time to spare; one that has come to rest is told of when it has rested for a moment.

use std::{sync::Arc, time::Duration};

use sentinal_agent_client::Agent;
use sentinal_model::Phase;
use sentinal_node_protocol::Keep;
use sentinal_store::SandboxRecord;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{activity::Told, context::Context, table::Entry};

/// How often all sandboxes are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A use without an end that is known is certain for so long.
pub(crate) const USE_MIN: Duration = Duration::from_secs(10);

/// How much longer the node is told, so that it need not be told again with the next use.
const TO_SPARE: Duration = Duration::from_secs(15);

/// How long a sandbox has rested when the node is told so.
const REST: Duration = Duration::from_secs(1);

/// Keeps the node up to date as long as the server runs.
pub(crate) async fn keep(context: Arc<Context>) {
    let mut look_at = interval(LOOK_EVERY);
    look_at.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look_at.tick().await;
        for entry in context.table.all() {
            tell(&context, &entry);
        }
    }
}

/// Tells the node what it has to know of this sandbox, if anything, in the background.
pub(crate) fn tell(context: &Arc<Context>, entry: &Arc<Entry>) {
    let record = entry.record();
    if record.spec.idle_timeout.is_none() || !matches!(record.phase, Phase::Running(_)) {
        return;
    }
    let now = Instant::now();
    let Some(until) = entry.activity().telling(|busy_until, used_at, told| news(busy_until, used_at, told, now)) else {
        return;
    };
    let (own, entry) = (Arc::clone(context), Arc::clone(entry));
    context.spawn(async move {
        let keep = Keep { id: record.id, generation: record.generation, busy_for: until.duration_since(now) };
        let told = own.node().keep(keep).await;
        if let Err(error) = &told {
            tracing::debug!(sandbox = %record.id, ?error, "node not told of a sandbox's use; it is told again");
        }
        entry.activity().told(told.map_or(Told::Nothing, |()| Told::Until(until)));
    });
}

/// Has the agent count a sandbox's idle time from now on, as this server does, in the background.
pub(crate) fn begin_anew(context: &Arc<Context>, record: &SandboxRecord, agent: Agent) {
    let (Some(idle), id) = (record.spec.idle_timeout, record.id) else { return };
    context.spawn(async move {
        // One that does not take this ends its sandbox a little early.
        if let Err(error) = agent.set_idle(idle).await {
            tracing::debug!(sandbox = %id, %error, "agent not told that its idle time begins anew");
        }
    });
}

/// What the node is to be told: in use until then, or not in use since now. `None` if it knows enough.
fn news(busy_until: Option<Instant>, used_at: Instant, told: Told, now: Instant) -> Option<Instant> {
    let needed = busy_until.map(|until| until.max(now + USE_MIN / 2));
    match (told, needed) {
        (Told::Telling, _) => None,
        (Told::Until(known), Some(needed)) => (known < needed).then_some(needed + TO_SPARE),
        (Told::Nothing, Some(needed)) => Some(needed + TO_SPARE),
        (Told::Until(known), None) => (used_at + REST < known && used_at + REST <= now).then_some(now),
        (Told::Nothing, None) => Some(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Seconds after `begin`, a hundred of which have passed.
    fn check(busy_until: Option<u64>, used_at: u64, told: Option<u64>, expected: Option<u64>) {
        let begin = Instant::now();
        let at = |after| begin + seconds(after);
        let told = told.map_or(Told::Nothing, |until| Told::Until(at(until)));
        let news = news(busy_until.map(at), at(used_at), told, at(100));
        assert_eq!(news, expected.map(at), "{busy_until:?} {used_at} {told:?}");
    }

    #[test]
    fn a_sandbox_in_use_is_told_of_when_the_node_knows_too_little() {
        check(Some(160), 90, None, Some(175));
        check(Some(160), 90, Some(159), Some(175));
        check(Some(160), 90, Some(160), None);
        check(Some(160), 90, Some(3000), None);
        check(Some(101), 90, Some(104), Some(120));
        check(Some(101), 90, Some(105), None);
    }

    #[test]
    fn a_sandbox_that_rests_is_told_of_once() {
        check(None, 90, None, Some(100));
        check(None, 98, Some(175), Some(100));
        check(None, 98, Some(100), Some(100));
        check(None, 99, Some(100), None);
        check(None, 90, Some(91), None);
    }

    #[test]
    fn a_sandbox_that_rested_only_a_moment_may_be_used_again_at_once() {
        let now = Instant::now();
        assert_eq!(news(None, now, Told::Until(now + seconds(60)), now), None);
    }

    #[test]
    fn one_word_at_a_time() {
        let now = Instant::now();
        assert_eq!(news(Some(now + seconds(60)), now, Told::Telling, now), None);
    }
}
