//! One task per execution: starts it, brings its output to safety across broken connections, and writes down
//! how it ended. Nothing else ends an execution's record.

use std::{sync::Arc, time::Duration};

use sentinal_agent_client::{Agent, AgentError, Connection, Events, ExecutionEvent, Finished, Start};
use sentinal_model::{
    Command, End, Ended, EngineName, Error, ExecutionId, ExecutionOutcome, Failure, Millis, Phase, Result, Results,
    Stream, Usage, limits,
};
use sentinal_store::{ExecutionRecord, ExecutionState, Write};
use sentinal_telemetry::{Origin, step};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};
use tracing::{Instrument as _, field::Empty};

use crate::{activity::Use, context::Context, entry::Entry, events, live::Live, overdue, terminal};

/// How long after its timeout an execution is ended by force when the agent has not told its end.
pub(crate) const TIMEOUT_GRACE: Duration = Duration::from_secs(5);

/// How long output of a sandbox that is being ended is still read.
const STOPPING_GRACE: Duration = Duration::from_secs(2);

/// How long to rest before an execution is followed again whose stream broke.
pub(crate) const BROKEN_PAUSE: Duration = Duration::from_millis(20);

/// How long to rest after the store did not take an end.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Output in a file that the agent has not been told of yet: tell it when there is so much.
const ACKNOWLEDGE_BYTES: u64 = 64 * 1024;

/// An execution to be brought to its end.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) live: Arc<Live>,
    pub(crate) entry: Arc<Entry>,
    /// Its sandbox is in use until it has ended.
    pub(crate) used: Option<Use>,
    /// What to start; `None` where an earlier server began and not all of it was written down.
    pub(crate) command: Option<Command>,
    /// Whether an earlier server may have started it.
    pub(crate) is_resumed: bool,
    /// How long the sandbox had been paused before it; zero if nobody knows.
    pub(crate) paused_before: Duration,
    /// Who asked for it.
    pub(crate) origin: Origin,
    /// Told when the agent has started it, or why it did not.
    pub(crate) started: Option<oneshot::Sender<Result<()>>>,
}

/// How following one connection ended.
enum Followed {
    Finished(Finished),
    Broken,
    Refused(Error),
}

/// Brings one execution to its durable end.
pub(crate) async fn collect(context: Arc<Context>, mut job: Job) {
    let live = Arc::clone(&job.live);
    let begun = Instant::now();
    let paused_before = job.paused_before;
    let (execution, sandbox) = (live.record.id, live.record.sandbox);
    let engine = job.entry.record().engine.map(EngineName::as_str);
    let origin = std::mem::take(&mut job.origin);
    let span =
        step!(origin: &origin, "agent.execute", %sandbox, %execution, engine, outcome = Empty, duration_ms = Empty);
    let mut finished = async {
        let entry = Arc::clone(&job.entry);
        let told = tokio::select! {
            // The agent's word comes first.
            biased;
            finished = follow(&mut job) => finished.ok_or(ExecutionOutcome::Killed),
            outcome = given_up(&context, &live, &entry, paused_before) => Err(outcome),
            never = terminal::mind(&live, &entry) => match never {},
        };
        told.unwrap_or_else(|outcome| ended_by_us(outcome, &live, context.now()))
    }
    .instrument(span.clone())
    .await;
    let oom_kills = job.entry.oom_kills();
    finished.ended.outcome = oom_kills.explain(&context, live.record.sandbox, finished.ended.outcome).await;
    context
        .metrics()
        .execution_overhead(begun.elapsed().saturating_sub(Duration::from_micros(finished.ended.duration_us)));
    span.record("outcome", finished.ended.outcome.as_str()).record("duration_ms", finished.ended.duration_us / 1000);
    drop(span);
    let span = step!(origin: &origin, "results.collect", %sandbox, %execution, output_bytes = Empty);
    let record = finish(&context, &live, finished).instrument(span.clone()).await;
    span.record("output_bytes", live.stdout.total().saturating_add(live.stderr.total()));
    drop(span);
    if let Some(started) = job.started.take() {
        // Over before it was seen to start: the caller reads the end.
        let _ = started.send(Ok(()));
    }
    context.live.remove(&live, Some(record));
    drop(job.used.take());
    forget(&context, &job);
}

/// Ends an execution whose caller was told that the store did not take it. It never was; or else it is in the store
/// after all, and nothing of it was ever started.
pub(crate) async fn take_back(context: &Context, live: &Live) {
    if !is_stored(context, live.record.id).await {
        return context.live.remove(live, None);
    }
    let record = finish(context, live, ended_by_us(ExecutionOutcome::Killed, live, context.now())).await;
    context.live.remove(live, Some(record));
}

/// Whether the store has a new execution; returns when it says so.
pub(crate) async fn is_stored(context: &Context, id: ExecutionId) -> bool {
    loop {
        match context.store().execution(id).await {
            Ok(stored) => return stored.is_some(),
            Err(error) => {
                tracing::warn!(execution = %id, ?error, "not known yet whether the store has the execution");
                sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Follows the execution until the agent tells its end; `None` if it refused.
async fn follow(job: &mut Job) -> Option<Finished> {
    let Some(agent) = job.entry.agent().await else { return std::future::pending().await };
    let mut started_before = job.is_resumed;
    loop {
        let Ok(connection) = agent.connection(limits::TTL_MAX).await else {
            // The sandbox is forgotten: `given_up` ends this.
            return std::future::pending().await;
        };
        let attached = started_before;
        let events = open(&connection, job, attached).await;
        started_before = true;
        let followed = match events {
            Ok(events) => events_of(&connection, job, events).await,
            Err(AgentError::NotFound(_)) if attached && job.command.is_some() => {
                // It never arrived: start it after all.
                started_before = false;
                Followed::Broken
            }
            Err(error @ (AgentError::NotFound(_) | AgentError::Refused(..))) => Followed::Refused(error.into()),
            Err(AgentError::Disconnected | AgentError::Deadline) => Followed::Broken,
        };
        match followed {
            Followed::Finished(finished) => return Some(finished),
            Followed::Broken => sleep(BROKEN_PAUSE).await,
            Followed::Refused(error) => {
                if let Some(started) = job.started.take() {
                    let _ = started.send(Err(error));
                }
                return None;
            }
        }
    }
}

/// Starts the execution, or attaches where its output was left.
async fn open(connection: &Connection, job: &Job, started_before: bool) -> std::result::Result<Events, AgentError> {
    match &job.command {
        Some(command) if !started_before => connection.execute(Start { id: job.live.record.id, command }).await,
        Some(_) | None => connection.attach(job.live.record.id, job.live.stdout.total(), job.live.stderr.total()).await,
    }
}

/// Takes events of one connection until it breaks or the execution ends.
async fn events_of(connection: &Connection, job: &mut Job, mut events: Events) -> Followed {
    let live = Arc::clone(&job.live);
    // What was safe before: an agent whose buffer is full of it sends nothing until it is told.
    let Ok(mut acknowledged) = acknowledge(connection, &live, 0).await else { return Followed::Broken };
    loop {
        match events.next().await {
            Ok(ExecutionEvent::Started) => {
                if let Some(started) = job.started.take() {
                    let _ = started.send(Ok(()));
                }
            }
            Ok(ExecutionEvent::Output { stream, offset, data }) => {
                if let Err(error) = live.spool(stream).append(offset, &data).await {
                    tracing::warn!(execution = %live.record.id, %error, "output not stored");
                    sleep(RETRY_AFTER).await;
                    return Followed::Broken;
                }
                live.grew();
                acknowledged = match acknowledge(connection, &live, acknowledged).await {
                    Ok(acknowledged) => acknowledged,
                    Err(_) => return Followed::Broken,
                };
            }
            Ok(ExecutionEvent::Ended(finished)) => return Followed::Finished(finished),
            Err(error) => {
                tracing::debug!(execution = %live.record.id, %error, "execution is not being followed");
                if matches!(error, AgentError::NotFound(_) | AgentError::Refused(..)) {
                    return Followed::Refused(error.into());
                }
                return Followed::Broken;
            }
        }
    }
}

/// Lets the agent drop what is safe here, when that is enough to be worth a message. Answers what it was told.
async fn acknowledge(connection: &Connection, live: &Live, told: u64) -> std::result::Result<u64, AgentError> {
    let (stdout, stderr) = (live.stdout.safe(), live.stderr.safe());
    let safe = stdout.saturating_add(stderr);
    if safe < told.saturating_add(ACKNOWLEDGE_BYTES) {
        return Ok(told);
    }
    connection.acknowledge(live.record.id, stdout, stderr).await.map(|()| safe)
}

/// When an execution has run for longer than it may, and its agent had time to end it.
pub(crate) fn deadline(record: &ExecutionRecord) -> Millis {
    record.created_at.after(record.command.timeout + TIMEOUT_GRACE)
}

/// Resolves with the outcome when there is no hope left that the agent tells the end: the sandbox ends, or the
/// execution is well past its timeout.
async fn given_up(context: &Context, live: &Live, entry: &Arc<Entry>, paused_before: Duration) -> ExecutionOutcome {
    let outcome = loop {
        if let Some(outcome) = sandbox_ends(context, live, entry, paused_before).await {
            break outcome;
        }
        let mut records = entry.records();
        let over = records.wait_for(|record| matches!(record.phase, Phase::Stopping(..) | Phase::Finished(_)));
        tokio::select! {
            biased;
            // Whatever is overdue ends with its sandbox.
            _ = over => {}
            // What is paused meanwhile is not to blame.
            ended = overdue::end(live, entry) => if ended {
                return ExecutionOutcome::Timeout;
            },
        }
    };
    // What the program wrote before the end may still be on its way; a forgotten agent has nothing more.
    if let Ok(Some(agent)) = timeout(Duration::ZERO, entry.agent()).await {
        let _ = timeout(STOPPING_GRACE, agent.forgotten()).await;
    }
    outcome
}

/// How the execution ends with its sandbox; `None` when it is past its timeout before that. Pauses do not count.
async fn sandbox_ends(
    context: &Context,
    live: &Live,
    entry: &Entry,
    paused_before: Duration,
) -> Option<ExecutionOutcome> {
    let mut records = entry.records();
    loop {
        let record = Arc::clone(&records.borrow_and_update());
        let paused_for = record.paused_for.saturating_sub(paused_before);
        let left = deadline(&live.record).after(paused_for).since(context.now());
        let changed = match &record.phase {
            Phase::Stopping(..) | Phase::Finished(_) => return Some(outcome_of(&record.phase)),
            Phase::Paused(_) => records.changed().await,
            Phase::Pending | Phase::Booting(_) | Phase::Running(_) => timeout(left, records.changed()).await.ok()?,
        };
        if changed.is_err() {
            return Some(ExecutionOutcome::Killed);
        }
    }
}

/// What the end of a sandbox means for the executions in it.
const fn outcome_of(phase: &Phase) -> ExecutionOutcome {
    match phase {
        Phase::Stopping(_, End::Failed(Failure::Oom)) | Phase::Finished(End::Failed(Failure::Oom)) => {
            ExecutionOutcome::Oom
        }
        Phase::Pending
        | Phase::Booting(_)
        | Phase::Running(_)
        | Phase::Paused(_)
        | Phase::Stopping(..)
        | Phase::Finished(_) => ExecutionOutcome::Killed,
    }
}

/// An end that the agent did not tell.
fn ended_by_us(outcome: ExecutionOutcome, live: &Live, now: Millis) -> Finished {
    let duration_us = u64::try_from(now.since(live.record.created_at).as_micros()).unwrap_or(u64::MAX);
    let ended = Ended { outcome, duration_us, usage: Usage::default() };
    Finished { ended, stdout_bytes: 0, stderr_bytes: 0, results: Results::default() }
}

/// Writes the end down, with all output safe before it, until the store has it.
async fn finish(context: &Context, live: &Live, finished: Finished) -> Arc<ExecutionRecord> {
    let ended_at = Instant::now();
    // Decided once: the store may have an attempt that it said had failed.
    let finished_at = context.now();
    loop {
        match try_finish(context, live, (&finished, finished_at)).await {
            Ok(record) => {
                let output_bytes = live.stdout.total().saturating_add(live.stderr.total());
                context.metrics().results_collected(ended_at.elapsed(), output_bytes);
                return Arc::new(record);
            }
            Err(error) => {
                tracing::warn!(execution = %live.record.id, ?error, "end of execution not written down yet");
                sleep(RETRY_AFTER).await;
            }
        }
    }
}

async fn try_finish(
    context: &Context,
    live: &Live,
    (finished, finished_at): (&Finished, Millis),
) -> Result<ExecutionRecord> {
    let io = |error: std::io::Error| Error::internal(&error);
    let stdout = live.spool(Stream::Stdout).finish(finished.stdout_bytes).await.map_err(io)?;
    let stderr = live.spool(Stream::Stderr).finish(finished.stderr_bytes).await.map_err(io)?;
    let mut record = live.record.clone();
    record.state = ExecutionState::Finished {
        ended: finished.ended,
        finished_at,
        stdout,
        stderr,
        results: finished.results.clone(),
    };
    let event = events::execution_completed(&record, finished_at, finished.ended.outcome);
    context.write(vec![Write::Execution(Box::new(record.clone())), Write::Event(event)]).await?;
    context.stored.ended(live, &record.state);
    Ok(record)
}

/// Lets the agent drop the execution; nobody waits for that.
fn forget(context: &Arc<Context>, job: &Job) {
    let (entry, id) = (Arc::clone(&job.entry), job.live.record.id);
    context.spawn(async move {
        let Ok(Some(agent)) = timeout(Duration::ZERO, entry.agent()).await else { return };
        forget_at(&agent, id).await;
    });
}

async fn forget_at(agent: &Agent, id: ExecutionId) {
    if let Err(error) = agent.forget_execution(id).await {
        tracing::debug!(execution = %id, %error, "agent keeps an execution that has ended");
    }
}
