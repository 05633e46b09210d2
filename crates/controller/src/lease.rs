//! Tells the node how long a sandbox is certainly in use: so that it lets one rest that nobody uses, and so that it can
//! end one with an idle timeout when this server is not alive, and does not while an execution may run that this server
//! started.
//!
//! Nobody waits for that. A sandbox in use is told of again only when what the node knows falls short, and then with
//! some time to spare; one that has come to rest is told of when it has rested for a moment.

use std::{sync::Arc, time::Duration};

use sentinal_agent_client::Agent;
use sentinal_model::Phase;
use sentinal_node_protocol::Keep;
use sentinal_store::SandboxRecord;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{activity::Told, context::Context, entry::Entry, observe::Measured};

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
    if !matches!(record.phase, Phase::Running(_)) || !matters(context, &record) {
        return;
    }
    let now = Instant::now();
    let Some(news) = entry.activity().telling(|busy_until, used_at, told| news(busy_until, used_at, told, now)) else {
        return;
    };
    let (own, entry) = (Arc::clone(context), Arc::clone(entry));
    context.spawn(async move {
        let busy_for = if let Told::Until(until) = news { until.duration_since(now) } else { Duration::ZERO };
        let keep = Keep { id: record.id, generation: record.generation, busy_for, said_at: own.now() };
        let told = own.node().keep(keep).await;
        if let Err(error) = &told {
            tracing::debug!(sandbox = %record.id, ?error, "node not told of a sandbox's use; it is told again");
        }
        entry.activity().told(told.map_or(Told::Nothing, |()| news));
    });
}

/// Whether the node does anything else for it when it is not used. As long as that is not known, it may.
fn matters(context: &Context, record: &SandboxRecord) -> bool {
    let can_rest = |measured: &Measured| {
        let engine = measured.view.engines.iter().find(|engine| Some(engine.name) == record.engine);
        engine.is_none_or(|engine| engine.can_rest)
    };
    record.spec.idle_timeout.is_some() || context.node_state.view().ok().is_none_or(|measured| can_rest(&measured))
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

/// What the node is to be told. `None` if it knows enough.
fn news(busy_until: Option<Instant>, used_at: Instant, told: Told, now: Instant) -> Option<Told> {
    let needed = busy_until.map(|until| until.max(now + USE_MIN / 2));
    match (told, needed) {
        (Told::Telling, _) | (Told::Resting, None) => None,
        (Told::Until(known), Some(needed)) => (known < needed).then_some(Told::Until(needed + TO_SPARE)),
        (Told::Nothing | Told::Resting, Some(needed)) => Some(Told::Until(needed + TO_SPARE)),
        (Told::Until(_), None) => (used_at + REST <= now).then_some(Told::Resting),
        (Told::Nothing, None) => Some(Told::Resting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Seconds after `begin`, a hundred of which have passed.
    fn check(
        busy_until: Option<u64>,
        used_at: u64,
        told: impl Fn(Instant) -> Told,
        expected: impl Fn(Instant) -> Option<Told>,
    ) {
        let begin = Instant::now();
        let at = |after| begin + seconds(after);
        let (told, expected) = (told(begin), expected(begin));
        let news = news(busy_until.map(at), at(used_at), told, at(100));
        assert_eq!(news, expected, "{busy_until:?} {used_at} {told:?}");
    }

    const fn nothing(_: Instant) -> Told {
        Told::Nothing
    }

    const fn resting(_: Instant) -> Told {
        Told::Resting
    }

    fn until(after: u64) -> impl Fn(Instant) -> Told {
        move |begin| Told::Until(begin + seconds(after))
    }

    fn enough(_: Instant) -> Option<Told> {
        None
    }

    fn said(told: impl Fn(Instant) -> Told) -> impl Fn(Instant) -> Option<Told> {
        move |begin| Some(told(begin))
    }

    #[test]
    fn a_sandbox_in_use_is_told_of_when_the_node_knows_too_little() {
        check(Some(160), 90, nothing, said(until(175)));
        check(Some(160), 90, resting, said(until(175)));
        check(Some(160), 90, until(159), said(until(175)));
        check(Some(160), 90, until(160), enough);
        check(Some(160), 90, until(3000), enough);
        check(Some(101), 90, until(104), said(until(120)));
        check(Some(101), 90, until(105), enough);
    }

    #[test]
    fn a_sandbox_that_rests_is_told_of_once() {
        check(None, 90, nothing, said(resting));
        check(None, 98, until(175), said(resting));
        check(None, 90, until(91), said(resting));
        check(None, 98, resting, enough);
    }

    #[test]
    fn a_sandbox_that_rested_only_a_moment_may_be_used_again_at_once() {
        check(None, 100, until(160), enough);
    }

    #[test]
    fn one_word_at_a_time() {
        let now = Instant::now();
        assert_eq!(news(Some(now + seconds(60)), now, Told::Telling, now), None);
    }
}
