//! How a sandbox begins: the scheduler chooses, with nobody in between; then it is booted, or one that waits in a pool
//! becomes the caller's.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sentinal_auth::Caller;
use sentinal_model::{
    Code, EngineName, Error, Event, Generation, KeyId, Made, Phase, Placement, Result, SandboxId, Spec, TenantId,
};
use sentinal_scheduler as scheduler;
use sentinal_store::{Build, SandboxRecord, Write};
use sentinal_telemetry::{Claim, Origin, step, step_went};
use tokio::time::{Instant, sleep};
use tracing::{
    Instrument as _,
    field::{Empty, display},
};

use crate::{
    activity::Use,
    context::Context,
    decide::Observed,
    drive,
    entry::{Claimed, Entry},
    events,
    idempotency::Mark,
    lease,
    observe::{Measured, describe},
    place::{self, Offer},
    pool::{self, Owner},
    quota,
};

/// How many pooled sandboxes a create tries before it boots one of its own.
const CLAIMS_MAX: usize = 3;

/// How long to rest before the store is asked again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Whether a sandbox outlives the execution it is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Until its ttl or a destroy.
    Kept,
    /// Until its one execution has ended.
    OneShot,
}

/// Gives a caller a sandbox, durably: one that waits in a pool, or else a new one that is being driven from then on.
pub(crate) async fn begin(
    context: &Arc<Context>,
    caller: &Caller,
    (spec, kind): (Spec, Kind),
    mark: Option<Mark>,
) -> Result<Arc<Entry>> {
    let own =
        Own { tenant: caller.tenant().clone(), key: Some(caller.key()), one_shot: kind == Kind::OneShot, pooled: None };
    let origin = Origin::here();
    let span = step!("controller.create", sandbox = Empty, engine = Empty);
    let begun = Box::pin(given(context, (&spec, &own), mark, origin)).instrument(span.clone()).await;
    if let Ok(entry) = &begun {
        let record = entry.record();
        span.record("sandbox", display(record.id)).record("engine", record.engine.map(EngineName::as_str));
    }
    step_went(&span, &begun);
    begun
}

async fn given(
    context: &Arc<Context>,
    (spec, own): (&Spec, &Own),
    mark: Option<Mark>,
    origin: Origin,
) -> Result<Arc<Entry>> {
    let asked = Instant::now();
    context.pools.asked();
    for _ in 0..CLAIMS_MAX {
        let (entry, source) = placed_now(context, (spec, own), Pooled::Taken).await?;
        entry.asked_by(origin.clone());
        let Source::Pool(reason) = source else { return acknowledged(context, entry, mark).await };
        let at = context.now();
        let (tenant, key, spec, mark) = (own.tenant.clone(), own.key, spec.clone(), mark.clone());
        let owner = Owner { tenant, key, spec, one_shot: own.one_shot, reason, at, mark };
        if let Some(entry) = claimed(context, entry, owner, asked).await? {
            return Ok(entry);
        }
    }
    let (entry, _) = placed_now(context, (spec, own), Pooled::Left).await?;
    entry.asked_by(origin);
    acknowledged(context, entry, mark).await
}

/// Begins to boot a sandbox for a pool. Callers never give way to it.
pub(crate) async fn begin_pooled(
    context: &Arc<Context>,
    measured: &Measured,
    new: (&Spec, &Own),
) -> Result<Arc<Entry>> {
    let (entry, _) = placed(context, measured, new, Pooled::Left)?;
    acknowledged(context, entry, None).await
}

/// Places a sandbox by what the node has said, or else by what it says now.
async fn placed_now(context: &Context, new: (&Spec, &Own), pooled: Pooled) -> Result<(Arc<Entry>, Source)> {
    let known = context.node_state.view().ok();
    match known.map(|measured| placed(context, &measured, new, pooled)) {
        Some(Ok(placed)) => return Ok(placed),
        Some(Err(error)) if error.code() == Code::QuotaExceeded => return Err(error),
        Some(Err(_)) | None => {}
    }
    // What is known may be old: ask before refusing.
    let measured = describe(context).await?;
    placed(context, &measured, new, pooled)
}

/// Whether a pooled sandbox may be taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pooled {
    Taken,
    Left,
}

/// Where a placed sandbox comes from.
enum Source {
    Boot,
    /// From a pool, for this reason.
    Pool(String),
}

/// Asks the scheduler, with nobody in between, and takes what it chose: its room, or one that waits.
fn placed(
    context: &Context,
    measured: &Measured,
    (spec, own): (&Spec, &Own),
    pooled: Pooled,
) -> Result<(Arc<Entry>, Source)> {
    place::check_image(&spec.image, &measured.view)?;
    let (asked, token) = (Instant::now(), context.parts.entropy.token()?);
    let is_callers = own.pooled.is_none();
    let span = step!("scheduler.place", engine = Empty, reason = Empty);
    let place = || {
        context.table.place_with(|entries| {
            if is_callers {
                let used = quota::of_sandboxes(entries, &own.tenant);
                context.parts.settings.quotas.check(&used, &quota::of_spec(spec))?;
            }
            let waiting = match pooled {
                Pooled::Taken => pool::waiting(entries, spec, &measured.view, context.now()),
                Pooled::Left => BTreeMap::new(),
            };
            let warm: Vec<EngineName> = waiting.keys().copied().collect();
            let offer = Offer { measured, warm: &warm, policy: context.parts.settings.policy };
            let (placement, source) = match choose(spec, offer, entries) {
                Err(full) if is_callers && full.code() == Code::NoCapacity => {
                    make_room(spec, offer, entries).ok_or(full)?
                }
                chosen => chosen?,
            };
            let taken =
                waiting.get(&placement.engine).filter(|entry| source == scheduler::Source::Pool && entry.take());
            if let Some(entry) = taken {
                entry.is_claimed_by(Some(own.tenant.clone()));
                return Ok((Arc::clone(entry), Source::Pool(placement.reason)));
            }
            let record = new_record(context, spec.clone(), placement, (own.clone(), token))?;
            Ok((Entry::new(record, Observed::AsRecorded), Source::Boot))
        })
    };
    let chosen = span.in_scope(place);
    step_went(&span, &chosen);
    let chosen = chosen?;
    let record = chosen.0.record();
    span.record("engine", record.engine.map(EngineName::as_str)).record("reason", &record.engine_reason);
    context.metrics().sandbox_placed(asked.elapsed());
    if is_callers && matches!(chosen.1, Source::Boot) {
        count_miss(context, spec, &chosen.0);
    }
    Ok(chosen)
}

fn choose(spec: &Spec, offer: Offer<'_>, entries: &[Arc<Entry>]) -> Result<(Placement, scheduler::Source)> {
    let promised: Vec<_> = pool::promised(entries).collect();
    place::choose(spec, offer, promised.iter().map(Arc::as_ref))
}

/// Where a caller's sandbox goes if pooled ones give way to it; as few as are needed end. `None` if that helps nobody.
fn make_room(spec: &Spec, offer: Offer<'_>, entries: &[Arc<Entry>]) -> Option<(Placement, scheduler::Source)> {
    let (yielding, offer) = (pool::yielding(entries), Offer { warm: &[], ..offer });
    let without = |gone: &[Arc<Entry>]| {
        let gone: Vec<SandboxId> = gone.iter().map(|entry| entry.record().id).collect();
        let promised: Vec<_> = pool::promised(entries).filter(|record| !gone.contains(&record.id)).collect();
        place::choose(spec, offer, promised.iter().map(Arc::as_ref)).ok()
    };
    let enough = (1..=yielding.len()).find(|count| without(&yielding[..*count]).is_some())?;
    for entry in &yielding[..enough] {
        if entry.take() {
            entry.abandon();
        }
    }
    without(&yielding[..enough])
}

/// Counts a create that there is a pool for.
fn count_miss(context: &Context, spec: &Spec, entry: &Entry) {
    let Some(engine) = entry.record().engine else { return };
    if context.parts.settings.pools.iter().any(|pool| pool.serves(spec, engine)) {
        context.metrics().pool_asked(engine, Claim::Miss);
    }
}

/// Makes a pooled sandbox the caller's; `None` if it turned out to be of no use.
async fn claimed(
    context: &Arc<Context>,
    entry: Arc<Entry>,
    owner: Owner,
    asked: Instant,
) -> Result<Option<Arc<Entry>>> {
    let (own, taken) = (Arc::clone(context), Arc::clone(&entry));
    // It has rested; whoever claims it uses it in a moment.
    let used = Use::begin(&entry, lease::USE_MIN);
    lease::tell(context, &entry);
    let claim = context.complete(async move {
        let _used = used;
        let has_key = owner.mark.is_some();
        let claim = match taken.claim(&own, owner).await {
            Err(error) if has_key && is_claimed_after_all(&own, &taken).await => {
                tracing::debug!(sandbox = %taken.record().id, ?error, "claim was written all the same");
                Ok(Claimed::Up)
            }
            claim => claim,
        };
        if !matches!(claim, Ok(Claimed::Up)) {
            // Whoever it is recorded for, nobody is going to get it.
            taken.abandon();
        }
        if claim.is_ok() {
            // Its record says whose it is.
            taken.is_claimed_by(None);
        }
        claim
    });
    let span =
        step!("controller.claim", sandbox = %entry.record().id, engine = entry.record().engine.map(EngineName::as_str));
    let claim = claim.instrument(span.clone()).await;
    step_went(&span, &claim);
    context.pools.asked();
    context.pools.wake();
    let Some(engine) = entry.record().engine else { return Ok(None) };
    match claim? {
        Claimed::Up => {
            context.metrics().pool_asked(engine, Claim::Hit);
            context.metrics().pool_claimed(engine, asked.elapsed());
            Ok(Some(entry))
        }
        Claimed::Silent | Claimed::Gone => {
            context.metrics().pool_asked(engine, Claim::Lost);
            tracing::warn!(sandbox = %entry.record().id, "pooled sandbox was of no use");
            Ok(None)
        }
    }
}

/// Whether the store took a claim of which it said that it had failed.
async fn is_claimed_after_all(context: &Arc<Context>, entry: &Arc<Entry>) -> bool {
    while let Err(error) = entry.clear_doubt(context).await {
        tracing::warn!(sandbox = %entry.record().id, ?error, "not known yet whether the store has the claim");
        sleep(RETRY_AFTER).await;
    }
    let record = entry.record();
    let is_claimed = record.pooled.is_none();
    if is_claimed {
        entry.activity().begin_anew(record.spec.idle_timeout);
    }
    is_claimed
}

/// Writes a new sandbox down and starts driving it, even if the caller leaves.
async fn acknowledged(context: &Arc<Context>, entry: Arc<Entry>, mark: Option<Mark>) -> Result<Arc<Entry>> {
    let own = Arc::clone(context);
    let acknowledged = async move {
        let has_key = mark.is_some();
        match acknowledge(&own, &entry, mark).await {
            Ok(()) => own.spawn(drive::drive(Arc::clone(&own), Arc::clone(&entry))),
            Err(error) if has_key && is_stored(&own, &entry).await => {
                tracing::debug!(sandbox = %entry.record().id, ?error, "sandbox was written all the same");
                count(&own, &entry.record());
                own.spawn(drive::drive(Arc::clone(&own), Arc::clone(&entry)));
            }
            Err(error) => {
                own.spawn(take_back(Arc::clone(&own), entry));
                return Err(error);
            }
        }
        Ok(entry)
    };
    context.complete(acknowledged).await
}

/// Writes a new sandbox down.
async fn acknowledge(context: &Context, entry: &Entry, mark: Option<Mark>) -> Result<()> {
    let record = entry.record();
    let mut writes = vec![Write::Sandbox(Box::new(SandboxRecord::clone(&record)))];
    if record.pooled.is_none() {
        // One for a pool is nobody's: it is created for its owner when it is claimed.
        writes.push(Write::Event(events::sandbox_created(&record)));
    }
    writes.extend(mark.map(|mark| mark.write(Made::Sandbox(record.id))));
    context.write(writes).await?;
    count(context, &record);
    Ok(())
}

/// What waits in a pool is counted there.
fn count(context: &Context, record: &SandboxRecord) {
    if record.pooled.is_none() {
        context.metrics().sandbox_entered(record.phase.state(), record.engine);
    }
}

/// A new sandbox whose caller was told that the store did not take it. It never was; or else it is in the store after
/// all, and is ended like any other.
async fn take_back(context: Arc<Context>, entry: Arc<Entry>) {
    if !is_stored(&context, &entry).await {
        return context.table.remove(entry.record().id);
    }
    count(&context, &entry.record());
    entry.abandon();
    drive::drive(context, entry).await;
}

/// Whether the store has a new sandbox; returns when it says so.
async fn is_stored(context: &Context, entry: &Entry) -> bool {
    let id = entry.record().id;
    loop {
        match context.store().sandbox(id).await {
            Ok(stored) => return stored.is_some(),
            Err(error) => {
                tracing::warn!(sandbox = %id, ?error, "not known yet whether the store has the sandbox");
                sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// What makes a sandbox somebody's, or a pool's.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) tenant: TenantId,
    pub(crate) key: Option<KeyId>,
    pub(crate) one_shot: bool,
    pub(crate) pooled: Option<Build>,
}

fn new_record(
    context: &Context,
    spec: Spec,
    placement: Placement,
    (own, token): (Own, [u8; 32]),
) -> Result<SandboxRecord> {
    let created_at = context.now();
    let phase = Phase::Pending.on(Event::Placed(placement.clone())).map_err(|rejected| Error::internal(&rejected))?;
    Ok(SandboxRecord {
        id: context.parts.entropy.sandbox(),
        tenant: own.tenant,
        generation: Generation::FIRST,
        phase,
        expires_at: created_at.after(spec.ttl),
        paused_at: None,
        paused_for: Duration::ZERO,
        spec,
        node: Some(placement.node),
        engine: Some(placement.engine),
        engine_reason: placement.reason,
        message: String::new(),
        token,
        one_shot: own.one_shot,
        pooled: own.pooled,
        key: own.key,
        created_at,
        finished_at: None,
    })
}
