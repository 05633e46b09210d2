//! One sandbox that is not finished, in memory: its durable record, what was observed of it, and who waits for what.
//!
//! `change` is how its record changes: the store first, then memory.

mod change;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sentinal_agent_client::Agent;
use sentinal_model::{Code, Error, Generation, Millis, TenantId};
use sentinal_store::SandboxRecord;
use sentinal_telemetry::Origin;
use tokio::{sync::watch, time::Instant};

use crate::{
    activity::Activity,
    decide::{Known, Observed, Terms},
    oom::OomKills,
};

pub(crate) use change::{Change, Claimed};

/// Of a sandbox that an earlier server has made.
const NOT_KNOWN: u64 = u64::MAX;

/// One sandbox. Its record changes only as `change` has it: one change at a time, and only after the store has it.
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
    /// When its agent last answered.
    answered: Mutex<Option<Instant>>,
    taken: AtomicBool,
    /// Who is claiming it.
    claimant: Mutex<Option<TenantId>>,
    changing: tokio::sync::Mutex<()>,
    oom_kills: OomKills,
    /// The last change may be in the store or not.
    in_doubt: AtomicBool,
    /// In which generation it began again from nothing.
    began: AtomicU64,
    /// Who asked for what is being done to it.
    origin: Mutex<Origin>,
    /// The processor time that the figures have of it, in microseconds.
    cpu_us_counted: AtomicU64,
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
            answered: Mutex::default(),
            taken: AtomicBool::new(false),
            claimant: Mutex::default(),
            changing: tokio::sync::Mutex::new(()),
            oom_kills: OomKills::default(),
            in_doubt: AtomicBool::new(false),
            began: AtomicU64::new(0),
            origin: Mutex::default(),
            cpu_us_counted: AtomicU64::new(if observed == Observed::AsRecorded { 0 } else { NOT_KNOWN }),
        })
    }

    /// What is done to it from now on is part of what asked for it; of nothing, where nobody did.
    pub(crate) fn asked_by(&self, origin: Origin) {
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = origin;
    }

    /// How much more processor time it has used than the figures have, in microseconds, when it has used `cpu_us` in all.
    /// What an earlier server has counted is not counted again.
    pub(crate) fn cpu_us_since(&self, cpu_us: u64) -> u64 {
        let before = self.cpu_us_counted.swap(cpu_us, Ordering::Relaxed);
        if before == NOT_KNOWN { 0 } else { cpu_us.saturating_sub(before) }
    }

    /// Who asked for what is being done to it.
    pub(crate) fn origin(&self) -> Origin {
        self.origin.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// The instance of an earlier generation is gone: what was said of it means nothing any more.
    pub(crate) fn began_again(&self, generation: Generation) {
        self.began.store(generation.0, Ordering::Relaxed);
        self.observe(Observed::Absent);
    }

    /// What the node has said of the instance of that generation, which may be an earlier one.
    pub(crate) fn observe_of(&self, generation: Generation, observed: Observed) {
        if self.began.load(Ordering::Relaxed) <= generation.0 {
            self.observe(observed);
        }
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

    /// The agent has answered that it knows these.
    pub(crate) fn agent_knows(&self, terms: Terms) {
        self.agent_answered();
        self.lock_known().agent = Some(terms);
    }

    /// The agent has answered something.
    pub(crate) fn agent_answered(&self) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The agent is being told these; whoever does so says how it went.
    pub(crate) fn agent_is_told(&self, terms: Terms) {
        self.lock_known().agent = Some(terms);
    }

    /// The agent did not take what it was told: it is told again.
    pub(crate) fn agent_knows_nothing(&self) {
        self.lock_known().agent = None;
        self.record.send_modify(|_| {});
    }

    /// How long ago the agent last answered.
    pub(crate) fn answered_ago(&self) -> Option<Duration> {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.map(|at| at.elapsed())
    }

    fn lock_known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a pooled sandbox out of its pool, to be claimed or to be ended. Only one ever gets it.
    pub(crate) fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::Relaxed)
    }

    /// From now on it counts as this tenant's, until it is known that it does not become so.
    pub(crate) fn is_claimed_by(&self, claimant: Option<TenantId>) {
        *self.claimant.lock().unwrap_or_else(PoisonError::into_inner) = claimant;
    }

    /// Whether it is a tenant's, or is just becoming so, and has not ended.
    pub(crate) fn is_kept_for(&self, tenant: &TenantId) -> bool {
        let record = self.record();
        let claimant = || self.claimant.lock().unwrap_or_else(PoisonError::into_inner);
        !record.phase.is_finished() && (record.tenant == *tenant || claimant().as_ref() == Some(tenant))
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether the last change may be in the store or not.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Relaxed)
    }
}
