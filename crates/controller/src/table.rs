//! The sandboxes that are not finished, in memory: their durable records and what was observed of them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sentinal_agent_client::Agent;
use sentinal_model::{Code, Error, Event, Generation, Millis, Phase, Result, SandboxId};
use sentinal_store::{NewEvent, SandboxRecord, Write};
use tokio::{sync::watch, time::timeout};

use crate::{
    activity::Activity,
    context::Context,
    decide::{Known, Observed, Terms},
    drive, events,
    oom::OomKills,
    pool::Owner,
};

/// How long the agent of a pooled sandbox may take to answer when it is claimed; a boot takes about as long.
const ANSWER_DEADLINE: Duration = Duration::from_millis(500);

/// One sandbox. Its record changes only through [`Entry::advance`], one change at a time, and only after the
/// store has it.
#[derive(Debug)]
pub(crate) struct Entry {
    record: watch::Sender<Arc<SandboxRecord>>,
    observed: watch::Sender<Observed>,
    abandoned: watch::Sender<bool>,
    silent: watch::Sender<bool>,
    agent: watch::Sender<Option<Agent>>,
    activity: Activity,
    /// Why its last pause was taken back.
    refusal: Mutex<Option<Error>>,
    known: Mutex<Known>,
    taken: AtomicBool,
    changing: tokio::sync::Mutex<()>,
    oom_kills: OomKills,
    /// The last change may be in the store or not.
    in_doubt: AtomicBool,
}

impl Entry {
    pub(crate) fn new(record: SandboxRecord, observed: Observed) -> Arc<Self> {
        Arc::new(Self {
            activity: Activity::new(record.spec.idle_timeout),
            record: watch::Sender::new(Arc::new(record)),
            observed: watch::Sender::new(observed),
            abandoned: watch::Sender::new(false),
            silent: watch::Sender::new(false),
            agent: watch::Sender::new(None),
            refusal: Mutex::default(),
            known: Mutex::default(),
            taken: AtomicBool::new(false),
            changing: tokio::sync::Mutex::new(()),
            oom_kills: OomKills::default(),
            in_doubt: AtomicBool::new(false),
        })
    }

    /// The record as the store has it.
    pub(crate) fn record(&self) -> Arc<SandboxRecord> {
        Arc::clone(&self.record.borrow())
    }

    /// Every change of the record from now on.
    pub(crate) fn records(&self) -> watch::Receiver<Arc<SandboxRecord>> {
        self.record.subscribe()
    }

    pub(crate) fn observed(&self) -> watch::Receiver<Observed> {
        self.observed.subscribe()
    }

    /// What the node has said.
    pub(crate) fn observe(&self, observed: Observed) {
        self.observed.send_if_modified(|known| {
            // An end, once seen, is not contradicted by an older answer that arrives later.
            let news = *known != observed && !matches!(known, Observed::Ended(_));
            if news {
                *known = observed;
            }
            news
        });
    }

    /// What memory has cost.
    pub(crate) const fn oom_kills(&self) -> &OomKills {
        &self.oom_kills
    }

    pub(crate) fn abandoned(&self) -> watch::Receiver<bool> {
        self.abandoned.subscribe()
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        *self.abandoned.borrow()
    }

    /// A one-shot's execution has ended or will never begin, or a pool has no use for the sandbox any more.
    pub(crate) fn abandon(&self) {
        self.abandoned.send_replace(true);
    }

    /// Whether its agent left an execution alive that was past its timeout.
    pub(crate) fn is_silent(&self) -> watch::Receiver<bool> {
        self.silent.subscribe()
    }

    /// Its agent did not end an execution, nor answer for it.
    pub(crate) fn silent(&self) {
        self.silent.send_replace(true);
    }

    /// Why it cannot be paused.
    pub(crate) fn refuse(&self, error: Option<Error>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    /// What somebody is told who waits for what did not come.
    pub(crate) fn refusal(&self, record: &SandboxRecord) -> Error {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let overtaken =
            || Error::new(Code::Conflict, format!("sandbox {} is {} again", record.id, record.phase.state()));
        refusal.unwrap_or_else(overtaken)
    }

    /// Who uses it.
    pub(crate) const fn activity(&self) -> &Activity {
        &self.activity
    }

    /// When its idle timeout runs out; `None` while it is in use, or may be idle.
    pub(crate) fn idle_at(&self, now: Millis) -> Option<Millis> {
        self.activity.idle_in().map(|left| now.after(left))
    }

    /// This server listens for the sandbox's agent, and this is how to reach it.
    pub(crate) fn reach(&self, agent: Agent) {
        self.agent.send_replace(Some(agent));
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.agent.borrow().is_some()
    }

    /// The agent, as soon as this server listens for it; ask with a deadline.
    pub(crate) async fn agent(&self) -> Option<Agent> {
        let mut agent = self.agent.subscribe();
        agent.wait_for(Option::is_some).await.ok().and_then(|agent| agent.clone())
    }

    /// The agent, if its connection stands at this moment.
    pub(crate) fn connected_agent(&self) -> Option<Agent> {
        self.agent.borrow().clone().filter(Agent::is_connected)
    }

    /// Which terms node and agent know.
    pub(crate) fn known(&self) -> Known {
        *self.lock_known()
    }

    pub(crate) fn node_knows(&self, terms: Terms) {
        self.lock_known().node = Some(terms);
    }

    pub(crate) fn agent_knows(&self, terms: Terms) {
        self.lock_known().agent = Some(terms);
    }

    fn lock_known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a pooled sandbox out of its pool, to be claimed or to be ended. Only one ever gets it.
    pub(crate) fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    /// Makes a pooled sandbox somebody's, if it still runs: the store first, then memory. After an error it is in doubt
    /// whose it is.
    pub(crate) async fn claim(&self, context: &Context, owner: Owner) -> Result<Claimed> {
        let _one_at_a_time = self.changing.lock().await;
        self.settle(context).await?;
        let Some(claimed) = owner.of(&self.record()) else { return Ok(Claimed::Gone) };
        let writes = vec![Write::Sandbox(Box::new(claimed.clone())), Write::Event(events::sandbox_created(&claimed))];
        self.in_doubt.store(true, Ordering::Relaxed);
        // Asked beside the commit: the one takes no longer for the other.
        let (stored, answers) = tokio::join!(context.write(writes), self.answers(context, Terms::of(&claimed)));
        stored?;
        self.in_doubt.store(false, Ordering::Relaxed);
        self.activity.begin_anew(claimed.spec.idle_timeout);
        self.publish(context, claimed);
        Ok(if answers { Claimed::Up } else { Claimed::Silent })
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
        self.store(context, after, change.event).await
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

    /// Whether the last change may be in the store or not.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Relaxed)
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
        self.in_doubt.store(true, Ordering::Relaxed);
        if let Err(error) = context.write(writes).await {
            // Whoever drives the sandbox is to find out at once.
            self.record.send_modify(|_| {});
            return Err(error);
        }
        self.in_doubt.store(false, Ordering::Relaxed);
        Ok(self.publish(context, after))
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
    /// Only if the record is still of this generation: nothing has changed since it was decided on.
    pub(crate) since: Option<Generation>,
}

/// All entries by id.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Mutex<BTreeMap<SandboxId, Arc<Entry>>>,
}

impl Table {
    pub(crate) fn get(&self, id: SandboxId) -> Option<Arc<Entry>> {
        self.lock().get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        self.lock().insert(entry.record().id, entry);
    }

    pub(crate) fn remove(&self, id: SandboxId) {
        self.lock().remove(&id);
    }

    /// Decides with nobody in between: how room is promised once, and how a pooled sandbox is taken once. What was
    /// decided on is in the table afterwards.
    pub(crate) fn place_with<T>(
        &self,
        place: impl FnOnce(&[Arc<Entry>]) -> Result<(Arc<Entry>, T)>,
    ) -> Result<(Arc<Entry>, T)> {
        let mut entries = self.lock();
        let all: Vec<_> = entries.values().cloned().collect();
        let (entry, told) = place(&all)?;
        entries.insert(entry.record().id, Arc::clone(&entry));
        Ok((entry, told))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SandboxId, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
