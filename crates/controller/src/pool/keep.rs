//! The task that keeps the pools filled: it looks, plans, and takes as many steps as do not get in anybody's way.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sentinal_model::{
    Code, EngineChoice, EngineName, Error, Labels, Phase, Pool, Result, SandboxId, Spec, TenantId, limits,
};
use sentinal_node_protocol::NodeView;
use sentinal_telemetry::PoolCounts;
use tokio::time::{Instant, timeout};

use super::{
    build,
    claim::is_ready,
    plan::{Member, Stage, Step, plan},
};
use crate::{
    begin::{self, Own},
    context::Context,
    entry::Entry,
    observe::Measured,
    place::{Offer, choose},
};

/// How often the pools are looked at when nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How soon after something that had to wait.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long nobody must have asked for a sandbox before one is booted for a pool.
const QUIET: Duration = Duration::from_millis(100);

/// How long before boots for a pool may take the whole machine.
const IDLE: Duration = Duration::from_secs(1);

/// How long a step waits at most for a quiet moment before it is taken all the same.
const STARVE_MAX: Duration = Duration::from_secs(2);

/// Boots for all pools at once: while nobody asks for anything, and else.
const BOOTS_IDLE_MAX: usize = 2;
const BOOTS_MAX: usize = 1;

/// Ends of pooled sandboxes at once.
const ENDS_MAX: usize = 2;

/// First and longest rest of a pool after a boot for it has failed.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Keeps the pools filled as long as the server runs. Ends when there is none and nothing is left of any.
pub(crate) async fn keep(context: Arc<Context>) {
    let mut keeper = Keeper::new(&context.parts.settings.pools);
    loop {
        let rest = match context.node_state.view() {
            Ok(measured) => keeper.look(&context, &measured).await,
            Err(_) => LOOK_EVERY,
        };
        if context.parts.settings.pools.is_empty() && !context.table.all().iter().any(is_pooled) {
            return;
        }
        // Woken or not, it is time to look.
        let _ = timeout(rest, context.pools.changed.notified()).await;
    }
}

fn is_pooled(entry: &Arc<Entry>) -> bool {
    entry.record().pooled.is_some()
}

/// What the task remembers from one look to the next.
struct Keeper {
    /// When each pool may boot again, and how often it has failed.
    rests: Vec<Rest>,
    /// What it has booted and has not seen the end of.
    boots: BTreeMap<SandboxId, (usize, Arc<Entry>)>,
    /// Since when an agent has been away.
    away: BTreeMap<SandboxId, Instant>,
    /// When each agent was last asked whether it answers.
    asked: BTreeMap<SandboxId, Instant>,
    /// Since when a step has had to wait, with none taken meanwhile.
    waiting_since: Option<Instant>,
}

/// A pool that rests after failures.
#[derive(Debug, Clone, Copy)]
struct Rest {
    failures: u32,
    until: Instant,
}

impl Rest {
    fn failed(&mut self) {
        let rest = BACKOFF_MIN.saturating_mul(1 << self.failures.min(16)).min(BACKOFF_MAX);
        *self = Self { failures: self.failures.saturating_add(1), until: Instant::now() + rest };
    }
}

/// How many steps may be taken now.
#[derive(Debug, Clone, Copy)]
struct Pace {
    boots: usize,
    ends: usize,
}

impl Keeper {
    fn new(pools: &[Pool]) -> Self {
        let now = Instant::now();
        let rests = vec![Rest { failures: 0, until: now }; pools.len()];
        Self { rests, boots: BTreeMap::new(), away: BTreeMap::new(), asked: BTreeMap::new(), waiting_since: None }
    }

    /// Looks once, and takes the steps that may be taken now. Answers how long to rest.
    async fn look(&mut self, context: &Arc<Context>, measured: &Measured) -> Duration {
        self.learn();
        let entries = context.table.all();
        let members = self.members(context, &measured.view, &entries);
        show(context, &members);
        let pools = &context.parts.settings.pools;
        let sizes: Vec<usize> = pools.iter().map(|pool| pool.size).collect();
        let mut steps = plan(&sizes, &members, context.now());
        let mut pace = self.pace(context, &entries, &members);
        if is_pressed(context, measured) {
            // What is really there runs out: callers need it more.
            pace = self.yield_one(pace);
            steps.retain(|step| matches!(step, Step::Retire(_)));
            steps.extend(members.first().filter(|_| steps.is_empty()).map(|member| Step::Retire(member.id)));
        }
        let (mut waits, mut stepped) = (false, false);
        for step in steps {
            let taken = self.step(context, measured, (&entries, step), &mut pace).await;
            waits |= !taken;
            stepped |= taken;
        }
        let since = self.waiting_since.filter(|_| !stepped).unwrap_or_else(Instant::now);
        self.waiting_since = waits.then_some(since);
        if waits { LOOK_AGAIN } else { LOOK_EVERY }
    }

    /// What became of the boots.
    fn learn(&mut self) {
        let rests = &mut self.rests;
        self.boots.retain(|_, (pool, entry)| match &entry.record().phase {
            Phase::Pending | Phase::Booting(_) => true,
            Phase::Running(_) | Phase::Paused(_) => {
                rests[*pool].failures = 0;
                false
            }
            Phase::Stopping(..) | Phase::Finished(_) => {
                if !entry.is_taken() {
                    rests[*pool].failed();
                }
                false
            }
        });
    }

    fn members(&mut self, context: &Arc<Context>, view: &NodeView, entries: &[Arc<Entry>]) -> Vec<Member> {
        let pools = &context.parts.settings.pools;
        let (mut away, mut asked) = (BTreeMap::new(), BTreeMap::new());
        let mut members = Vec::new();
        for entry in entries.iter().filter(|entry| !entry.is_taken()) {
            let record = entry.record();
            let (Some(pooled), Some(engine)) = (&record.pooled, record.engine) else { continue };
            let stage = match &record.phase {
                Phase::Pending | Phase::Booting(_) => Stage::Booting,
                Phase::Running(_) if is_ready(entry, context.now()) => {
                    let last = self.asked.get(&record.id).copied();
                    asked.extend(ask(context, entry, last).map(|at| (record.id, at)));
                    Stage::Ready
                }
                Phase::Running(_) => {
                    let since = self.away.get(&record.id).copied().unwrap_or_else(Instant::now);
                    away.insert(record.id, since);
                    Stage::Away(since.elapsed())
                }
                // Nobody pauses what is nobody's.
                Phase::Paused(_) | Phase::Stopping(..) | Phase::Finished(_) => continue,
            };
            members.push(Member {
                id: record.id,
                pool: pools.iter().position(|pool| pool.serves(&record.spec, engine)),
                stage,
                is_fresh: build(view, engine, &record.spec.image).is_none_or(|now| now == *pooled),
                created_at: record.created_at,
                expires_at: record.expires_at,
            });
        }
        (self.away, self.asked) = (away, asked);
        members.sort_by_key(|member| (member.created_at, member.id));
        members
    }

    /// Stays out of the way of what callers ask for right now, but not for ever.
    fn pace(&self, context: &Context, entries: &[Arc<Entry>], members: &[Member]) -> Pace {
        let quiet_for = context.pools.quiet_for();
        let callers_boot = entries
            .iter()
            .map(|entry| entry.record())
            .any(|record| record.pooled.is_none() && matches!(record.phase, Phase::Pending | Phase::Booting(_)));
        let most = if callers_boot || quiet_for < QUIET {
            let is_starved = self.is_starved();
            Pace { boots: usize::from(is_starved), ends: usize::from(is_starved) }
        } else if quiet_for < IDLE {
            Pace { boots: BOOTS_MAX, ends: ENDS_MAX }
        } else {
            Pace { boots: BOOTS_IDLE_MAX, ends: ENDS_MAX }
        };
        let booting = members.iter().filter(|member| member.stage == Stage::Booting).count();
        let ending = entries.iter().filter(|entry| is_pooled(entry) && entry.is_abandoned()).count();
        Pace { boots: most.boots.saturating_sub(booting), ends: most.ends.saturating_sub(ending) }
    }

    /// No boots, and an end now and then: what it frees is seen only later.
    fn yield_one(&self, pace: Pace) -> Pace {
        Pace { boots: 0, ends: usize::from(self.is_starved()).min(pace.ends) }
    }

    fn is_starved(&self) -> bool {
        self.waiting_since.is_some_and(|since| STARVE_MAX <= since.elapsed())
    }

    /// Takes a step if it may be taken now.
    async fn step(
        &mut self,
        context: &Arc<Context>,
        measured: &Measured,
        (entries, step): (&[Arc<Entry>], Step),
        pace: &mut Pace,
    ) -> bool {
        match step {
            Step::Retire(id) => {
                if pace.ends == 0 {
                    return false;
                }
                pace.ends -= 1;
                if let Some(entry) = entries.iter().find(|entry| entry.record().id == id)
                    && entry.take()
                {
                    tracing::info!(sandbox = %id, "pooled sandbox retired");
                    entry.abandon();
                }
            }
            Step::Boot(pool) => {
                if pace.boots == 0 || Instant::now() < self.rests[pool].until {
                    return false;
                }
                pace.boots -= 1;
                match boot(context, measured, &context.parts.settings.pools[pool]).await {
                    Ok(entry) => drop(self.boots.insert(entry.record().id, (pool, entry))),
                    Err(error) => {
                        self.rests[pool].failed();
                        tracing::warn!(?error, "sandbox for a pool not booted");
                    }
                }
            }
        }
        true
    }
}

/// Has the agent of a pooled sandbox prove now and then that it answers, in the background. Answers when it was last
/// asked.
fn ask(context: &Arc<Context>, entry: &Arc<Entry>, last: Option<Instant>) -> Option<Instant> {
    let is_due = |ago: Option<Duration>| ago.is_none_or(|ago| limits::POOL_ASK_EVERY <= ago);
    let agent = entry.connected_agent()?;
    if !is_due(entry.answered_ago()) || !is_due(last.map(|at| at.elapsed())) {
        return last;
    }
    let entry = Arc::clone(entry);
    context.spawn(async move {
        match agent.list().await {
            Ok(_) => entry.agent_answered(),
            Err(error) => {
                tracing::warn!(sandbox = %entry.record().id, %error, "agent of a pooled sandbox does not answer");
                entry.agent_knows_nothing();
            }
        }
    });
    Some(Instant::now())
}

/// Begins to boot one more for a pool.
async fn boot(context: &Arc<Context>, measured: &Measured, pool: &Pool) -> Result<Arc<Entry>> {
    let build = build(&measured.view, pool.engine, &pool.image);
    let build = build.ok_or_else(|| {
        let message = format!("{} cannot be booted from {:?} now", pool.engine, pool.image.as_str());
        Error::new(Code::Unavailable, message)
    })?;
    let own = Own { tenant: TenantId::nobody(), key: None, one_shot: false, pooled: Some(build) };
    begin::begin_pooled(context, measured, (&spec(pool), &own)).await
}

fn spec(pool: &Pool) -> Spec {
    Spec {
        engine: EngineChoice::Named(pool.engine),
        cpu: pool.cpu,
        memory: pool.memory,
        disk: pool.disk,
        image: pool.image.clone(),
        ttl: limits::POOL_TTL,
        idle_timeout: None,
        labels: Labels::default(),
    }
}

/// Whether the node would refuse a sandbox even if nothing were promised to anybody.
fn is_pressed(context: &Context, measured: &Measured) -> bool {
    let offer = Offer { measured, warm: &[], policy: context.parts.settings.policy };
    let full = |pool: &Pool| {
        choose(&spec(pool), offer, std::iter::empty()).is_err_and(|error| error.code() == Code::NoCapacity)
    };
    context.parts.settings.pools.iter().any(full)
}

/// How the pools stand, for whoever reads the metrics.
fn show(context: &Context, members: &[Member]) {
    let mut counts: BTreeMap<EngineName, PoolCounts> = BTreeMap::new();
    for (index, pool) in context.parts.settings.pools.iter().enumerate() {
        let own = || members.iter().filter(|member| member.pool == Some(index) && member.is_fresh);
        let of_engine = counts.entry(pool.engine).or_default();
        of_engine.wanted += pool.size;
        of_engine.ready += own().filter(|member| member.stage == Stage::Ready).count();
        of_engine.booting += own().filter(|member| member.stage == Stage::Booting).count();
    }
    for (engine, counts) in counts {
        context.metrics().pools_stand(engine, counts);
    }
}
