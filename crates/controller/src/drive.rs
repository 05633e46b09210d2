//! One task per sandbox: carries out what `decide` says, until nothing is left of it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sentinal_agent_client::{Agent, AgentError, Listen};
use sentinal_model::{Code, End, EngineName, Error, Event, Failure, Generation, Millis, Phase, Result, limits};
use sentinal_node_protocol::{AgentToken, Boot, Place};
use sentinal_store::SandboxRecord;
use sentinal_telemetry::{Origin, step, step_went};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tracing::Instrument as _;

use crate::{
    context::Context,
    decide::{Action, Observed, Own, Terms, decide},
    entry::{Change, Entry},
    events, figures, lease, pause, pool,
};

/// How long to rest after an action failed that must succeed in the end.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// How often a boot is tried whose node went away under it.
const BOOTS_MAX: u32 = 3;

/// Longest sleep towards a moment of the wall clock, so that a step of that clock is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// How long a sandbox may take to be up: its turn, its boot, its agent's first word.
const UP_DEADLINE: Duration =
    limits::BOOT_TURN_DEADLINE.saturating_add(limits::BOOT_DEADLINE).saturating_add(limits::AGENT_DIAL_DEADLINE);

/// The first and only boot of a sandbox.
pub(crate) const FIRST_EPOCH: u64 = 1;

/// Drives one sandbox to its end.
pub(crate) async fn drive(context: Arc<Context>, entry: Arc<Entry>) {
    let (mut boots, mut pauses) = (0, 0);
    loop {
        if entry.is_in_doubt()
            && let Err(error) = entry.clear_doubt(&context).await
        {
            tracing::warn!(sandbox = %entry.record().id, ?error, "not known yet what the store has of the sandbox");
            sleep(RETRY_AFTER).await;
            continue;
        }
        let mut changes = Changes::of(&entry);
        let record = entry.record();
        let observed = *changes.observed.borrow_and_update();
        let abandoned = *changes.abandoned.borrow_and_update();
        let silent = *changes.silent.borrow_and_update();
        let now = context.now();
        let (listening, known) = (entry.is_listening(), entry.known());
        let own = Own { abandoned, silent, listening, idle_at: entry.idle_at(now), known };
        match decide(&record, observed, own, now) {
            Action::Wait(until) => changes.until(&context, until).await,
            Action::WaitForNode => changes.any().await,
            Action::Adopt => adopt(&context, &entry).await,
            Action::Tell => tell_unless_changed(&context, &entry, &mut changes).await,
            Action::Boot => {
                boots += 1;
                let retry = if boots < BOOTS_MAX { Retry::Again } else { Retry::GiveUp };
                boot_unless_stopped(&context, &entry, observed, retry).await;
            }
            Action::Pause => {
                pauses += 1;
                pause::pause(&context, &entry, pauses).await;
            }
            Action::Resume => {
                pauses = 0;
                pause::resume(&context, &entry).await;
            }
            // Somebody may have come to use it in this very moment.
            Action::Stop(End::Idle) if matches!(observed, Observed::Ended(_)) || entry.activity().close_if_idle() => {
                stop(&context, &entry, &record, (End::Idle, None)).await;
            }
            Action::Stop(End::Idle) => {}
            Action::Stop(end) => stop(&context, &entry, &record, (end, message(end))).await,
            Action::Halt => halt(&context, &entry).await,
            Action::Forget => {
                context.table.remove(record.id);
                context.pools.wake();
                return;
            }
        }
    }
}

/// What the caller is told about an end that needs an explanation.
fn message(end: End) -> Option<String> {
    let silent = "an execution was past its timeout, and the sandbox's agent neither ended it nor answered";
    (end == End::Failed(Failure::AgentSilent)).then(|| silent.to_owned())
}

/// What may change a decision.
struct Changes {
    records: tokio::sync::watch::Receiver<Arc<SandboxRecord>>,
    observed: tokio::sync::watch::Receiver<Observed>,
    abandoned: tokio::sync::watch::Receiver<bool>,
    silent: tokio::sync::watch::Receiver<bool>,
    rests: tokio::sync::watch::Receiver<u64>,
}

impl Changes {
    /// Subscribed before the state is read, so that no change falls in between.
    fn of(entry: &Entry) -> Self {
        Self {
            records: entry.records(),
            observed: entry.observed(),
            abandoned: entry.abandoned(),
            silent: entry.is_silent(),
            rests: entry.activity().rests(),
        }
    }

    async fn any(&mut self) {
        tokio::select! {
            biased;
            _ = self.records.changed() => {}
            _ = self.observed.changed() => {}
            _ = self.abandoned.changed() => {}
            _ = self.silent.changed() => {}
            _ = self.rests.changed() => {}
        }
    }

    async fn until(&mut self, context: &Context, until: Millis) {
        let left = until.since(context.now()).min(SLEEP_MAX);
        let _ = timeout(left, self.any()).await;
    }
}

/// What to do when a boot fails because the node went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Again,
    GiveUp,
}

/// Boots the sandbox; gives up as soon as somebody wants it stopped.
async fn boot_unless_stopped(context: &Arc<Context>, entry: &Arc<Entry>, observed: Observed, retry: Retry) {
    let mut records = entry.records();
    let mut abandoned = entry.abandoned();
    let mut observations = entry.observed();
    let stopped = async {
        tokio::select! {
            biased;
            _ = records.wait_for(|record| matches!(record.phase, Phase::Stopping(..) | Phase::Finished(_))) => {}
            _ = abandoned.wait_for(|abandoned| *abandoned) => {}
            _ = observations.wait_for(|observed| matches!(observed, Observed::Ended(_))) => {}
        }
    };
    let booted = tokio::select! {
        biased;
        () = stopped => return,
        booted = timeout(UP_DEADLINE, boot_traced(context, entry, observed)) => booted,
    };
    let message = match booted {
        Ok(Ok(())) => return,
        Ok(Err(error)) if was_cut_off(&error) && retry == Retry::Again => {
            tracing::warn!(sandbox = %entry.record().id, ?error, "boot was cut off; it is tried again");
            entry.observe(Observed::Partial);
            return sleep(RETRY_AFTER).await;
        }
        Ok(Err(error)) => {
            tracing::warn!(sandbox = %entry.record().id, ?error, "sandbox did not boot");
            error.message().to_owned()
        }
        Err(_) => format!("the sandbox was not up within {} s", UP_DEADLINE.as_secs()),
    };
    if let Some(engine) = entry.record().engine {
        context.metrics().engine_failed(engine);
    }
    // It may have come up in the last moment.
    if entry.clear_doubt(context).await.is_err() || matches!(entry.record().phase, Phase::Running(_)) {
        return sleep(RETRY_AFTER).await;
    }
    stop(context, entry, &entry.record(), (End::Failed(Failure::BootFailed), Some(message))).await;
}

/// Whether the node went away under a boot. The connection repeats a call that it broke off: the next node refuses that
/// one for what the first call has left.
fn was_cut_off(error: &Error) -> bool {
    matches!(error.code(), Code::Unavailable | Code::Conflict)
}

async fn boot_traced(context: &Arc<Context>, entry: &Arc<Entry>, observed: Observed) -> Result<()> {
    let record = entry.record();
    let engine = record.engine.map(EngineName::as_str);
    let span =
        step!(origin: &entry.origin(), "engine.boot", sandbox = %record.id, engine, generation = record.generation.0);
    let booted = boot(context, entry, observed).instrument(span.clone()).await;
    step_went(&span, &booted);
    if !record.one_shot {
        // What becomes of it later is nothing that its creator waits for.
        entry.asked_by(Origin::default());
    }
    booted
}

/// Places, listens, boots, waits for the agent, and writes down that it runs.
async fn boot(context: &Arc<Context>, entry: &Arc<Entry>, observed: Observed) -> Result<()> {
    let mut record = entry.record();
    if observed == Observed::Partial {
        // An earlier boot was cut off: begin again from nothing, under a generation that outdoes it.
        record = entry.renew(context).await?;
        let below = Generation(record.generation.0 - 1);
        context.node().halt(record.id, below).await?;
        entry.began_again(record.generation);
    }
    let agent = listen(context, entry, &record).await?;
    let asked = Instant::now();
    let boot = Boot {
        id: record.id,
        generation: record.generation,
        token: AgentToken(record.token),
        epoch: FIRST_EPOCH,
        agent_deadline: record.expires_at.since(context.now()) + limits::AGENT_TTL_GRACE,
    };
    let is_booted = Notify::new();
    let booted =
        async { context.node().boot(boot).await.inspect(|()| is_booted.notify_one()) }.instrument(step!("node.boot"));
    let dialled = async {
        dialled(&agent, &is_booted).await?;
        context.metrics().agent_dialled(asked.elapsed());
        Ok(())
    }
    .instrument(step!("agent.dial"));
    tokio::try_join!(booted, dialled)?;
    if let Some(engine) = record.engine {
        context.metrics().engine_booted(engine, asked.elapsed());
    }
    entry.activity().touch();
    if record.pooled.is_none() {
        // One for the pool is told once more: that it answers is what makes it ready.
        entry.agent_knows(Terms::of(&record));
    }
    let advanced = entry.advance(context, Event::Booted, Change::default()).await;
    // After the change: what the node said of it before is old.
    entry.observe(Observed::AsRecorded);
    if let Err(error) = advanced {
        // It is up: that is written down with the next attempt, which finds nothing else to do.
        tracing::warn!(sandbox = %record.id, ?error, "start of sandbox not written down yet");
        sleep(RETRY_AFTER).await;
        return Ok(());
    }
    tracing::info!(sandbox = %record.id, boot_ms = asked.elapsed().as_secs_f64() * 1000.0, "sandbox booted");
    Ok(())
}

/// Waits for the agent's first word, until a while after the boot. It may come before the engine's own start returns.
async fn dialled(agent: &Agent, is_booted: &Notify) -> Result<()> {
    let late = async {
        is_booted.notified().await;
        sleep(limits::AGENT_DIAL_DEADLINE).await;
    };
    tokio::select! {
        biased;
        dialled = agent.connection(UP_DEADLINE) => dialled.map(drop).map_err(Error::from),
        () = late => Err(AgentError::Deadline.into()),
    }
}

/// Listens for the agent of a running instance that an earlier server booted.
async fn adopt(context: &Arc<Context>, entry: &Entry) {
    let record = entry.record();
    match listen(context, entry, &record).await {
        Ok(agent) => {
            // This server counts from now on. An agent that went on counting would end the sandbox first, which would
            // look like a failure.
            lease::begin_anew(context, &record, agent);
            tracing::info!(sandbox = %record.id, "sandbox adopted");
        }
        Err(error) => {
            tracing::warn!(sandbox = %record.id, ?error, "sandbox not adopted yet");
            sleep(RETRY_AFTER).await;
        }
    }
}

/// Makes sure of the instance's folder and listens there for the agent.
async fn listen(context: &Context, entry: &Entry, record: &SandboxRecord) -> Result<Agent> {
    let socket_folder = place(context, entry, record).await?;
    let listen = Listen { id: record.id, token: record.token, epoch: FIRST_EPOCH, socket_folder };
    let agent = context.parts.agents.listen(listen).map_err(|error| {
        let message = "the server cannot listen for the sandbox's agent; see the server's log";
        Error::new(Code::Unavailable, message).with_source(&error)
    })?;
    entry.reach(agent.clone());
    Ok(agent)
}

/// Has the node make sure of the sandbox's place and of its end.
async fn place(context: &Context, entry: &Entry, record: &SandboxRecord) -> Result<PathBuf> {
    let engine = record.engine.ok_or_else(|| Error::new(Code::Internal, "the sandbox was never placed"))?;
    let place = Place {
        id: record.id,
        generation: record.generation,
        engine,
        image: record.spec.image.clone(),
        cpu: record.spec.cpu,
        memory: record.spec.memory,
        disk: record.spec.disk,
        expires_at: record.expires_at,
        idle_timeout: record.spec.idle_timeout,
    };
    let socket_folder = context.node().place(place).await?;
    entry.node_knows(Terms::of(record));
    Ok(socket_folder)
}

/// Tells node and agent the sandbox's terms; leaves off as soon as something else may have to be done.
async fn tell_unless_changed(context: &Context, entry: &Entry, changes: &mut Changes) {
    let record = entry.record();
    let told = tokio::select! {
        told = tell(context, entry, &record) => told,
        () = changes.until(context, record.expires_at) => return,
    };
    match told {
        Ok(()) => context.pools.wake(),
        Err(error) => {
            tracing::warn!(sandbox = %record.id, ?error, "node and agent do not know the sandbox's terms yet");
            changes.until(context, context.now().after(RETRY_AFTER)).await;
        }
    }
}

/// Tells node and agent what they do not know of the sandbox's terms.
pub(crate) async fn tell(context: &Context, entry: &Entry, record: &SandboxRecord) -> Result<()> {
    let terms = Terms::of(record);
    if entry.known().node != Some(terms) {
        place(context, entry, record).await?;
    }
    if entry.known().agent != Some(terms) {
        let agent = entry.agent().await.ok_or_else(|| Error::new(Code::Unavailable, "the sandbox has no agent"))?;
        if record.pooled.is_some() {
            pool::rehearse(&agent).await?;
        }
        tell_agent(context, entry, (&agent, terms)).await?;
    }
    Ok(())
}

/// Tells the agent when it has to end the sandbox by itself, and makes sure that it answers.
pub(crate) async fn tell_agent(context: &Context, entry: &Entry, (agent, terms): (&Agent, Terms)) -> Result<()> {
    let left = terms.expires_at.since(context.now()) + limits::AGENT_TTL_GRACE;
    agent.set_deadline(left).await?;
    if let Some(idle) = terms.idle_timeout {
        agent.set_idle(idle).await?;
    }
    entry.agent_knows(terms);
    Ok(())
}

/// Writes down that the sandbox shall end, until the store has it, unless `record` is not what it is any more.
async fn stop(context: &Arc<Context>, entry: &Arc<Entry>, record: &SandboxRecord, why: (End, Option<String>)) {
    let (end, message) = why;
    // Nobody's log tells of what was never somebody's.
    let event = record.pooled.is_none().then(|| events::sandbox_destroyed(record, end, context.now()));
    let change = Change { message, event, since: Some(record.generation), ..Change::default() };
    if let Err(error) = entry.advance(context, Event::Stop(end), change).await {
        tracing::warn!(sandbox = %entry.record().id, ?error, "end of sandbox not written down yet");
        sleep(RETRY_AFTER).await;
    }
}

/// Removes everything of the sandbox, then writes down that nothing is left.
async fn halt(context: &Arc<Context>, entry: &Arc<Entry>) {
    let record = entry.record();
    let engine = record.engine.map(EngineName::as_str);
    let end = match &record.phase {
        Phase::Stopping(_, end) | Phase::Finished(end) => Some(end.as_str()),
        Phase::Pending | Phase::Booting(_) | Phase::Running(_) | Phase::Paused(_) => None,
    };
    let span = step!(origin: &entry.origin(), "controller.destroy", sandbox = %record.id, engine, outcome = end);
    halt_all(context, entry, record).instrument(span).await;
}

async fn halt_all(context: &Arc<Context>, entry: &Arc<Entry>, record: Arc<SandboxRecord>) {
    let asked = Instant::now();
    let span = step!("engine.halt");
    let halted = context.node().halt(record.id, record.generation).instrument(span.clone()).await;
    step_went(&span, &halted);
    let used = match halted {
        Ok(used) => used,
        Err(error) => {
            tracing::warn!(sandbox = %record.id, ?error, "sandbox not halted yet");
            return sleep(RETRY_AFTER).await;
        }
    };
    context.parts.agents.forget(record.id);
    // Every execution has its end in the store before the sandbox has.
    context.live.none_left_of(record.id).await;
    let change = Change { cpu_us: Some(used.cpu_us), ..Change::default() };
    match entry.advance(context, Event::Halted, change).await {
        Ok(finished) => {
            if let (Some(engine), Phase::Finished(end)) = (record.engine, &finished.phase) {
                context.metrics().engine_halted(engine, asked.elapsed());
                figures::ended(context, entry, (engine, used));
                if record.pooled.is_none() {
                    context.metrics().sandbox_finished(Some(engine), *end);
                }
            }
            tracing::info!(sandbox = %record.id, halt_ms = asked.elapsed().as_secs_f64() * 1000.0, "sandbox destroyed");
        }
        Err(error) => {
            tracing::warn!(sandbox = %record.id, ?error, "end of sandbox not written down yet");
            sleep(RETRY_AFTER).await;
        }
    }
}
