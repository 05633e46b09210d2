//! Starting and looking at executions.

use std::{sync::Arc, time::Duration};

use sentinal_auth::{Caller, CreateSandbox, Execute, Permit, ReadExecution};
use sentinal_model::{Code, Command, Error, ExecutionId, Made, Result, SandboxId, Spec, Stream, limits};
use sentinal_store::{ExecutionRecord, ExecutionState, Page, Write};
use sentinal_telemetry::Origin;
use tokio::sync::oneshot;

use crate::{
    activity::Use,
    api::{Controller, Execution, NewExecution},
    begin::{Kind, begin},
    collect::{self, Job},
    context::Context,
    entry::Entry,
    events,
    idempotency::{self, Mark, Outcome},
    lease,
    live::Live,
    outputs::OutputFile,
    quota,
    sandboxes::{not_running, running, unknown},
    spool::Spool,
};

impl Controller {
    /// Starts a program in a sandbox; answers when the execution is durable and the program was started.
    pub async fn execute(&self, permit: &Permit<Execute>, id: SandboxId, new: NewExecution) -> Result<Execution> {
        let (own, caller) = (self.clone(), permit.caller().clone());
        let NewExecution { command, wait, once } = new;
        let make = |mark| async move {
            let entry = own.entry(caller.tenant(), id).await?;
            up(&entry, wait).await?;
            start(&own.context, &entry, (caller, command), mark).await
        };
        self.started(idempotency::once(&self.context, permit.tenant(), once, make).await?).await
    }

    /// The whole workflow: creates a sandbox, runs the program in it; the sandbox is destroyed when it has ended.
    pub async fn execute_once(
        &self,
        permit: &Permit<Execute>,
        _create: &Permit<CreateSandbox>,
        spec: Spec,
        new: NewExecution,
    ) -> Result<Execution> {
        let (context, caller) = (Arc::clone(&self.context), permit.caller().clone());
        let NewExecution { command, wait, once } = new;
        let make = |mark| async move {
            quota::check_execution(&context, caller.tenant())?;
            // It is the execution that is made once; a sandbox without one ends.
            let entry = begin(&context, &caller, (spec, Kind::OneShot), None).await?;
            let abandon = Abandon(Arc::clone(&entry));
            up(&entry, wait).await?;
            let execution = start(&context, &entry, (caller, command), mark).await?;
            // From here on the end of the execution is the end of the sandbox.
            let (own, id) = (Arc::clone(&context), execution.sandbox);
            context.spawn(async move {
                own.live.none_left_of(id).await;
                drop(abandon);
            });
            Ok(execution)
        };
        self.started(idempotency::once(&self.context, permit.tenant(), once, make).await?).await
    }

    async fn started(&self, outcome: Outcome<Execution>) -> Result<Execution> {
        let made = match outcome {
            Outcome::New(execution) => return Ok(execution),
            Outcome::Again(made) => made,
        };
        let Made::Execution(id) = made else { return Err(idempotency::forgotten(made)) };
        let sandbox = match self.context.live.get(id) {
            Some(live) => Some(live.record.sandbox),
            None => self.context.store().execution(id).await?.map(|record| record.sandbox),
        };
        let sandbox = sandbox.ok_or_else(|| idempotency::forgotten(made))?;
        Ok(Execution { id, sandbox, is_replay: true })
    }

    /// An execution as it is.
    pub async fn execution(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord> {
        if let Some(live) = self.context.live.get(id).filter(|live| live.record.tenant == *permit.tenant()) {
            return Ok(live.record.clone());
        }
        let stored = self.context.store().execution(id).await?;
        let own = stored.filter(|record| record.tenant == *permit.tenant());
        own.ok_or_else(|| Error::not_found(format!("execution {id} does not exist")))
    }

    /// Executions, newest first, of one sandbox if named.
    pub async fn executions(
        &self,
        permit: &Permit<ReadExecution>,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Result<Vec<ExecutionRecord>> {
        self.context.store().executions(permit.tenant(), sandbox, page).await
    }

    /// Resolves with the durable record when the execution has ended.
    pub async fn finished(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord> {
        if let Some(live) = self.context.live.get(id).filter(|live| live.record.tenant == *permit.tenant()) {
            let mut progress = live.progress();
            let ended = progress.wait_for(|progress| progress.finished.is_some()).await;
            if let Some(record) = ended.ok().and_then(|progress| progress.finished.clone()) {
                return Ok(ExecutionRecord::clone(&record));
            }
        }
        self.execution(permit, id).await
    }
}

/// Destroys a one-shot's sandbox, or a build's, when dropped: at the end of its execution, and whenever it never comes to one.
pub(crate) struct Abandon(pub(crate) Arc<Entry>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Waits for a pending sandbox to run.
pub(crate) async fn up(entry: &Entry, wait: Duration) -> Result<()> {
    let record = running(entry, wait).await?;
    not_running(&record).map_or(Ok(()), Err)
}

/// Writes an execution down, then has its program started. Once written it is brought to its end, whoever leaves.
pub(crate) async fn start(
    context: &Arc<Context>,
    entry: &Arc<Entry>,
    (caller, command): (Caller, Command),
    mark: Option<Mark>,
) -> Result<Execution> {
    quota::check_execution(context, caller.tenant())?;
    let recorded = Command { stdin: Vec::new(), ..command.clone() };
    let id = entry.record().id;
    let used = Use::begin(entry, command.timeout + collect::TIMEOUT_GRACE).ok_or_else(|| unknown(id))?;
    lease::tell(context, entry);
    let record = ExecutionRecord {
        id: context.parts.entropy.execution(),
        sandbox: id,
        tenant: caller.tenant().clone(),
        key: Some(caller.key()),
        command: recorded,
        is_whole: command.stdin.is_empty(),
        state: ExecutionState::Running,
        created_at: context.now(),
    };
    let execution = Execution { id: record.id, sandbox: record.sandbox, is_replay: false };
    let stored_max = context.parts.settings.output_stored_bytes;
    let spool =
        |stream| Spool::new(Arc::clone(context.outputs()), OutputFile { execution: record.id, stream }, stored_max);
    let live = Live::new(record.clone(), spool(Stream::Stdout), spool(Stream::Stderr));
    context.live.admit(&live, &context.parts.settings.quotas)?;
    let (started, told) = oneshot::channel();
    let job = Job {
        live,
        entry: Arc::clone(entry),
        used: Some(used),
        command: Some(command),
        is_resumed: false,
        paused_before: entry.record().paused_for,
        origin: Origin::here(),
        started: Some(started),
    };
    let own = Arc::clone(context);
    context.spawn(async move { record_and_collect(own, job, mark).await });
    match told.await {
        Ok(started) => started.map(|()| execution),
        Err(_) => Err(Error::new(Code::Unavailable, "the server is stopping; ask for the execution later")),
    }
}

/// The intent first, then the program.
async fn record_and_collect(context: Arc<Context>, mut job: Job, mark: Option<Mark>) {
    let record = &job.live.record;
    let has_key = mark.is_some();
    let mut writes = vec![Write::Execution(Box::new(record.clone())), Write::Event(events::execution_started(record))];
    writes.extend(mark.map(|mark| mark.write(Made::Execution(record.id))));
    if let Err(error) = context.write(writes).await
        && !(has_key && collect::is_stored(&context, record.id).await)
    {
        if let Some(started) = job.started.take() {
            let _ = started.send(Err(error));
        }
        return collect::take_back(&context, &job.live).await;
    }
    context.metrics().execution_started();
    let engine = job.entry.record().engine;
    let live = Arc::clone(&job.live);
    collect::collect(Arc::clone(&context), job).await;
    let ended = live.progress().borrow().finished.clone();
    if let (Some(engine), Some(ExecutionState::Finished { ended, .. })) =
        (engine, ended.map(|record| record.state.clone()))
    {
        context.metrics().execution_ended(engine, ended.outcome, Duration::from_micros(ended.duration_us));
    }
}

/// Resumes the executions that an earlier server left running in a sandbox. Those of a one-shot decide its end.
pub(crate) async fn resume(context: &Arc<Context>, entry: &Arc<Entry>, records: Vec<ExecutionRecord>) {
    let one_shot = entry.record().one_shot;
    let stored_max = context.parts.settings.output_stored_bytes;
    for record in records.into_iter().take(limits::EXECUTIONS_HELD_MAX) {
        let file = |stream| OutputFile { execution: record.id, stream };
        let stdout = Spool::resume(Arc::clone(context.outputs()), file(Stream::Stdout), stored_max).await;
        let stderr = Spool::resume(Arc::clone(context.outputs()), file(Stream::Stderr), stored_max).await;
        let (stdout, stderr) = match (stdout, stderr) {
            (Ok(stdout), Ok(stderr)) => (stdout, stderr),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(execution = %record.id, %error, "stored output cannot be read; the operator must look");
                continue;
            }
        };
        let live = Live::new(record, stdout, stderr);
        if context.live.insert(&live).is_ok() {
            context.metrics().execution_started();
            let left = collect::deadline(&live.record).since(context.now());
            let used = Use::begin(entry, left);
            let entry = Arc::clone(entry);
            // Where the agent has never heard of it, its server died in between: it is started after all.
            let timeout = left.saturating_sub(collect::TIMEOUT_GRACE);
            let can_start = live.record.is_whole && !timeout.is_zero();
            let command = can_start.then(|| Command { timeout, ..live.record.command.clone() });
            let paused_before = Duration::ZERO;
            let origin = Origin::default();
            let job = Job { live, entry, used, command, is_resumed: true, paused_before, origin, started: None };
            context.spawn(collect::collect(Arc::clone(context), job));
        }
    }
    if one_shot {
        let (own, entry) = (Arc::clone(context), Arc::clone(entry));
        context.spawn(async move {
            own.live.none_left_of(entry.record().id).await;
            entry.abandon();
        });
    }
}
