//! One job, from being written down to its end.

use std::{sync::Arc, time::Duration};

use sentinal_auth::Caller;
use sentinal_model::{Code, Error, ImageJobId, ImageName, Result, SandboxId};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{Held, ImageJob, ImageJobKind, ImageJobState};
use crate::{
    context::Context,
    images::{ImageProgress, log::Log},
};

/// How long the end of a build waits for that of its sandbox.
const SANDBOX_GONE_DEADLINE: Duration = Duration::from_secs(30);

/// A job that is to begin.
#[derive(Debug)]
pub(crate) struct NewJob {
    pub(crate) by: Caller,
    pub(crate) name: ImageName,
    pub(crate) kind: ImageJobKind,
    pub(crate) deadline: Duration,
}

/// What a job's work has to do with.
#[derive(Debug)]
pub(crate) struct Working {
    pub(crate) context: Arc<Context>,
    pub(crate) id: ImageJobId,
    pub(crate) by: Caller,
    pub(crate) name: ImageName,
    pub(crate) progress: watch::Sender<ImageProgress>,
    pub(crate) log: Arc<Log>,
}

impl Working {
    /// Writes down which sandbox is this job's: the next server ends it.
    pub(crate) async fn in_sandbox(&self, sandbox: SandboxId) -> Result<()> {
        let kind = ImageJobKind::Build { sandbox: Some(sandbox) };
        match self.context.image_jobs.change(self.id, |job| job.kind = kind) {
            Some(job) => self.context.parts.images.remember(&job).await,
            None => Ok(()),
        }
    }
}

/// Begins a job, once it is written down. Its work answers the image's digest.
pub(crate) async fn start<F>(context: &Arc<Context>, new: NewJob, work: impl FnOnce(Working) -> F) -> Result<ImageJob>
where
    F: Future<Output = Result<String>> + Send + 'static,
{
    let NewJob { by, name, kind, deadline } = new;
    let (progress, seen) = watch::channel(ImageProgress::default());
    let job = ImageJob {
        id: context.parts.entropy.image_job(),
        tenant: by.tenant().clone(),
        name,
        kind,
        state: ImageJobState::Running,
        progress: ImageProgress::default(),
        created_at: context.now(),
        finished_at: None,
    };
    let (cancel, ended, log) = (CancellationToken::new(), CancellationToken::new(), Arc::new(Log::default()));
    let held = Held { job: job.clone(), progress: seen, log: Arc::clone(&log), cancel, ended };
    for forgotten in context.image_jobs.add(held.clone())? {
        context.parts.images.forget(&forgotten).await;
    }
    if let Err(error) = context.parts.images.remember(&job).await {
        context.image_jobs.jobs().remove(&job.id);
        return Err(error);
    }
    let (id, name) = (job.id, job.name.clone());
    let working = work(Working { context: Arc::clone(context), id, by, name, progress, log });
    context.spawn(run(Arc::clone(context), held, timeout(deadline, working)));
    Ok(job)
}

async fn run<F>(context: Arc<Context>, held: Held, work: tokio::time::Timeout<F>)
where
    F: Future<Output = Result<String>>,
{
    let _ended = held.ended.drop_guard();
    let id = held.job.id;
    let state = match held.cancel.run_until_cancelled_owned(work).await {
        None => ImageJobState::Cancelled,
        Some(Ok(Ok(digest))) => ImageJobState::Finished { digest },
        Some(Ok(Err(error))) => {
            tracing::warn!(job = %id, kind = held.job.kind.as_str(), ?error, "image not made");
            ImageJobState::failed(&error)
        }
        Some(Err(_)) => ImageJobState::failed(&Error::new(Code::Unavailable, "it took too long; try again")),
    };
    sandbox_gone(&context, id).await;
    say(&held.log, &state);
    let now = context.now();
    let changed = context.image_jobs.change(id, |job| (job.state, job.finished_at) = (state, Some(now)));
    if let Some(job) = changed {
        tracing::info!(job = %id, image = %job.name, kind = job.kind.as_str(), state = job.state.as_str(), "job ended");
        if let Err(error) = context.parts.images.remember(&job).await {
            tracing::warn!(job = %id, ?error, "the end of a job was not written down");
        }
    }
}

/// A build has not ended while its sandbox is there. What does not go in time is the controller's, as always.
async fn sandbox_gone(context: &Context, id: ImageJobId) {
    let kind = context.image_jobs.change(id, |_| {}).map(|job| job.kind);
    let Some(ImageJobKind::Build { sandbox: Some(sandbox) }) = kind else { return };
    let Some(entry) = context.table.get(sandbox) else { return };
    let mut records = entry.records();
    let _ = timeout(SANDBOX_GONE_DEADLINE, records.wait_for(|record| record.phase.is_finished())).await;
}

/// The last line of a log.
fn say(log: &Log, state: &ImageJobState) {
    match state {
        ImageJobState::Running | ImageJobState::Finished { .. } => {}
        ImageJobState::Failed { message, .. } => log.line(message),
        ImageJobState::Cancelled => log.line("cancelled"),
    }
}
