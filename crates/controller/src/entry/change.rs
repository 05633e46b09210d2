//! How the record of a sandbox changes: one change at a time, the store first, then memory. A store that fails may have
//! stored; until that is known nothing else is decided.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sentinal_model::{Code, Error, Event, Generation, Made, Phase, Result, limits};
use sentinal_store::{NewEvent, SandboxRecord, Write};
use tokio::time::timeout;

use super::Entry;
use crate::{
    context::Context,
    decide::{Observed, Terms},
    drive, events,
    pool::Owner,
};

/// How long the agent of a pooled sandbox may take to answer when it is claimed; a boot takes about as long.
const ANSWER_DEADLINE: Duration = Duration::from_millis(500);

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// It is theirs, and its agent answers.
    Up,
    /// It is theirs, but its agent does not answer.
    Silent,
    /// It ended before it was anybody's.
    Gone,
}

/// What goes along with a change of phase.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// A sentence for the caller about what went wrong.
    pub(crate) message: Option<String>,
    /// Written in the same transaction.
    pub(crate) event: Option<NewEvent>,
    /// The cpu time of its instance, as the host has counted it at the end.
    pub(crate) cpu_us: Option<u64>,
    /// Only if the record is still of this generation: nothing has changed since it was decided on.
    pub(crate) since: Option<Generation>,
}

impl Entry {
    /// Makes a pooled sandbox somebody's, if it still runs: the store first, then memory. After an error it is in doubt
    /// whose it is.
    pub(crate) async fn claim(self: &Arc<Self>, context: &Arc<Context>, owner: Owner) -> Result<Claimed> {
        let _one_at_a_time = self.changing.lock().await;
        self.settle(context).await?;
        let mark = owner.mark.clone();
        let Some(claimed) = owner.of(&self.record()) else { return Ok(Claimed::Gone) };
        let mut writes =
            vec![Write::Sandbox(Box::new(claimed.clone())), Write::Event(events::sandbox_created(&claimed))];
        writes.extend(mark.map(|mark| mark.write(Made::Sandbox(claimed.id))));
        let terms = Terms::of(&claimed);
        let answers = if self.answered_ago().is_some_and(|ago| ago < limits::POOL_ANSWER_AGE_MAX) {
            self.commit(context, writes).await?;
            self.tell(context, terms)
        } else {
            // Asked beside the commit: the one takes no longer for the other.
            let (stored, answers) = tokio::join!(self.commit(context, writes), self.answers(context, terms));
            stored?;
            answers
        };
        self.activity.begin_anew(claimed.spec.idle_timeout);
        self.publish(context, claimed);
        Ok(if answers { Claimed::Up } else { Claimed::Silent })
    }

    /// Tells the agent the sandbox's terms, for whose answer nobody waits; `false` if it is not there.
    fn tell(self: &Arc<Self>, context: &Arc<Context>, terms: Terms) -> bool {
        let Some(agent) = self.connected_agent() else { return false };
        self.agent_is_told(terms);
        let (entry, own) = (Arc::clone(self), Arc::clone(context));
        context.spawn(async move {
            if let Err(error) = drive::tell_agent(&own, &entry, (&agent, terms)).await {
                tracing::warn!(sandbox = %entry.record().id, %error, "agent does not know the sandbox's terms yet");
                entry.agent_knows_nothing();
            }
        });
        true
    }

    /// Tells the agent the sandbox's terms, and whether it answered.
    async fn answers(&self, context: &Context, terms: Terms) -> bool {
        let Some(agent) = self.connected_agent() else { return false };
        let told = timeout(ANSWER_DEADLINE, drive::tell_agent(context, self, (&agent, terms))).await;
        matches!(told, Ok(Ok(())))
    }

    /// Moves the sandbox through its life: the store first, then memory. Answers the record as it is after that. Goes
    /// on to its end if the caller leaves.
    pub(crate) async fn advance(
        self: &Arc<Self>,
        context: &Arc<Context>,
        event: Event,
        change: Change,
    ) -> Result<Arc<SandboxRecord>> {
        let (entry, own) = (Arc::clone(self), Arc::clone(context));
        context.complete(async move { entry.advance_at_once(&own, event, change).await }).await
    }

    async fn advance_at_once(&self, context: &Context, event: Event, change: Change) -> Result<Arc<SandboxRecord>> {
        let _one_at_a_time = self.changing.lock().await;
        self.settle(context).await?;
        let before = self.record();
        if change.since.is_some_and(|since| since != before.generation) {
            return Ok(before);
        }
        let phase =
            before.phase.clone().on(event).map_err(|rejected| Error::new(Code::Conflict, rejected.to_string()))?;
        if phase == before.phase {
            return Ok(before);
        }
        let mut after = SandboxRecord::clone(&before);
        after.generation = before.generation.next();
        after.phase = phase;
        if let Some(message) = change.message {
            after.message = message;
        }
        let now = context.now();
        after.paused_for += before.paused_at.map_or(Duration::ZERO, |at| now.since(at));
        after.paused_at = matches!(after.phase, Phase::Paused(_)).then_some(now);
        after.finished_at = after.phase.is_finished().then_some(now);
        let used = change.cpu_us.map(|cpu_us| Write::Usage { sandbox: after.id, at: now, cpu_us });
        // What was used comes first: nothing is added to what has ended.
        let mut writes: Vec<Write> = used.into_iter().collect();
        writes.push(Write::Sandbox(Box::new(after.clone())));
        writes.extend(change.event.map(Write::Event));
        self.commit(context, writes).await?;
        Ok(self.publish(context, after))
    }

    /// Changes the record without a change of phase, as `revise` says. Goes on to its end if the caller leaves.
    pub(crate) async fn revise(
        self: &Arc<Self>,
        context: &Arc<Context>,
        revise: impl FnOnce(&SandboxRecord) -> Result<(SandboxRecord, NewEvent)> + Send + 'static,
    ) -> Result<Arc<SandboxRecord>> {
        let (entry, own) = (Arc::clone(self), Arc::clone(context));
        let revised = async move {
            let _one_at_a_time = entry.changing.lock().await;
            entry.settle(&own).await?;
            let before = entry.record();
            let (after, event) = revise(&before)?;
            let after = SandboxRecord { generation: before.generation.next(), ..after };
            entry.store(&own, after, Some(event)).await
        };
        context.complete(revised).await
    }

    /// Raises the generation without a change of phase, so that the node refuses what was asked before.
    pub(crate) async fn renew(self: &Arc<Self>, context: &Arc<Context>) -> Result<Arc<SandboxRecord>> {
        let (entry, own) = (Arc::clone(self), Arc::clone(context));
        let renewed = async move {
            let _one_at_a_time = entry.changing.lock().await;
            entry.settle(&own).await?;
            let mut after = SandboxRecord::clone(&entry.record());
            after.generation = after.generation.next().next();
            entry.store(&own, after, None).await
        };
        context.complete(renewed).await
    }

    /// Finds out whether the last change is in the store, if that is in doubt.
    pub(crate) async fn clear_doubt(self: &Arc<Self>, context: &Arc<Context>) -> Result<()> {
        let (entry, own) = (Arc::clone(self), Arc::clone(context));
        let settled = async move {
            let _one_at_a_time = entry.changing.lock().await;
            entry.settle(&own).await
        };
        context.complete(settled).await
    }

    /// A store that failed may have stored. Nothing is decided before it is known: the next change would be written over
    /// one that nobody took into account. Called by whoever holds `changing`.
    async fn settle(&self, context: &Context) -> Result<()> {
        if !self.is_in_doubt() {
            return Ok(());
        }
        let known = self.record();
        if let Some(stored) = context.store().sandbox(known.id).await?
            && known.generation < stored.generation
            && matches!(self.publish(context, stored).phase, Phase::Running(_))
            && matches!(known.phase, Phase::Booting(_))
        {
            // What the node said before was about one that was not up.
            self.observe(Observed::AsRecorded);
        }
        self.in_doubt.store(false, Ordering::Relaxed);
        // Somebody may wait for this alone.
        self.record.send_modify(|_| {});
        Ok(())
    }

    async fn store(
        &self,
        context: &Context,
        after: SandboxRecord,
        event: Option<NewEvent>,
    ) -> Result<Arc<SandboxRecord>> {
        let mut writes = vec![Write::Sandbox(Box::new(after.clone()))];
        writes.extend(event.map(Write::Event));
        self.commit(context, writes).await?;
        Ok(self.publish(context, after))
    }

    /// After an error it is in doubt whether the store has the change.
    async fn commit(&self, context: &Context, writes: Vec<Write>) -> Result<()> {
        self.in_doubt.store(true, Ordering::Relaxed);
        if let Err(error) = context.write(writes).await {
            // Whoever drives the sandbox is to find out at once.
            self.record.send_modify(|_| {});
            return Err(error);
        }
        self.in_doubt.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// What waits in a pool is counted there.
    fn publish(&self, context: &Context, after: SandboxRecord) -> Arc<SandboxRecord> {
        let (before, after) = (self.record(), Arc::new(after));
        if before.pooled.is_none() {
            context.metrics().sandbox_left(before.phase.state(), before.engine);
        }
        if after.pooled.is_none() && !after.phase.is_finished() {
            context.metrics().sandbox_entered(after.phase.state(), after.engine);
        }
        self.turn(&before.phase, &after.phase);
        self.record.send_replace(Arc::clone(&after));
        after
    }

    /// A sandbox that is to go on, or to stand still, does not do so yet, whatever was seen of it: an earlier verb may be
    /// under way, or may have come to pass without an answer.
    fn turn(&self, before: &Phase, after: &Phase) {
        let seen = *self.observed.borrow();
        if matches!((before, after, seen), (Phase::Paused(_), Phase::Running(_), Observed::AsRecorded)) {
            self.observe(Observed::Paused);
        }
        if matches!((before, after, seen), (Phase::Running(_), Phase::Paused(_), Observed::Paused)) {
            self.observe(Observed::AsRecorded);
        }
    }
}
