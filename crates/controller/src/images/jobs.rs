//! Pulls under way, and what became of those before.
//!
//! A pull is written down before it begins and when it has ended. One that a server did not bring to its end is failed
//! when the next one begins: its caller pulls again, and what was downloaded need not be downloaded twice.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sentinal_model::{Code, Error, ImageJobId, ImageName, Millis, Result, TenantId, limits};
use sentinal_store::Page;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{MakeImages, NewImage, PullProgress, PullRequest, PullStage, publish};
use crate::context::Context;

/// A pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageJob {
    /// Its id.
    pub id: ImageJobId,
    /// Whose.
    pub tenant: TenantId,
    /// What the image is to be called.
    pub name: ImageName,
    /// What is pulled.
    pub reference: String,
    /// What became of it.
    pub state: ImageJobState,
    /// How far it came.
    pub progress: PullProgress,
    /// When it was asked for.
    pub created_at: Millis,
    /// When it ended.
    pub finished_at: Option<Millis>,
}

/// What became of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageJobState {
    /// It goes on.
    Running,
    /// The image is there.
    Finished {
        /// What it contains.
        digest: String,
    },
    /// It is not.
    Failed {
        /// Of the error.
        code: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// Somebody has ended it.
    Cancelled,
}

impl ImageJobState {
    /// As callers see it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished { .. } => "finished",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn failed(error: &Error) -> Self {
        Self::Failed { code: error.code().as_str().to_owned(), message: error.message().to_owned() }
    }
}

/// All pulls that are known.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<BTreeMap<ImageJobId, Held>>);

#[derive(Debug, Clone)]
struct Held {
    job: ImageJob,
    progress: watch::Receiver<PullProgress>,
    cancel: CancellationToken,
    ended: CancellationToken,
}

impl Held {
    fn shown(&self) -> ImageJob {
        let progress = *self.progress.borrow();
        ImageJob { progress, ..self.job.clone() }
    }
}

/// What an earlier server has written down, at its end.
pub(crate) async fn remembered(maker: &dyn MakeImages, now: Millis) -> Result<Jobs> {
    let mut jobs = BTreeMap::new();
    for mut job in maker.remembered().await? {
        if job.state == ImageJobState::Running {
            let words = "the server was started again meanwhile; pull again, and it goes on where it was";
            job.state = ImageJobState::failed(&Error::new(Code::Unavailable, words));
            job.finished_at = Some(now);
            maker.remember(&job).await?;
        }
        let (_, progress) = watch::channel(job.progress);
        let (cancel, ended) = (CancellationToken::new(), CancellationToken::new());
        ended.cancel();
        jobs.insert(job.id, Held { job, progress, cancel, ended });
    }
    Ok(Jobs(Mutex::new(jobs)))
}

impl Jobs {
    pub(crate) fn get(&self, tenant: &TenantId, id: ImageJobId) -> Result<ImageJob> {
        self.held(tenant, id).map(|held| held.shown())
    }

    pub(crate) fn list(&self, tenant: &TenantId, page: Page<ImageJobId>) -> Vec<ImageJob> {
        let most = usize::try_from(page.rows_max).unwrap_or(usize::MAX);
        let jobs = self.jobs();
        let of_tenant = jobs.values().rev().filter(|held| held.job.tenant == *tenant);
        let after = of_tenant.filter(|held| page.after.is_none_or(|after| held.job.id < after));
        after.take(most).map(Held::shown).collect()
    }

    /// Answers when it has ended.
    pub(crate) async fn cancel(&self, tenant: &TenantId, id: ImageJobId) -> Result<ImageJob> {
        let held = self.held(tenant, id)?;
        held.cancel.cancel();
        held.ended.cancelled().await;
        self.get(tenant, id)
    }

    fn held(&self, tenant: &TenantId, id: ImageJobId) -> Result<Held> {
        let held = self.jobs().get(&id).filter(|held| held.job.tenant == *tenant).cloned();
        held.ok_or_else(|| Error::not_found("there is no pull with this id"))
    }

    /// Adds one, unless there are as many as there may be. Answers those that are forgotten for it.
    fn add(&self, held: Held) -> Result<Vec<ImageJob>> {
        let mut jobs = self.jobs();
        let running = jobs.values().filter(|held| held.job.state == ImageJobState::Running).count();
        if limits::IMAGE_JOBS_RUNNING_MAX <= running {
            let message = format!("{running} images are being pulled, which is the limit; wait for one of them");
            return Err(Error::new(Code::RateLimited, message));
        }
        jobs.insert(held.job.id, held);
        let surplus = jobs.len().saturating_sub(limits::IMAGE_JOBS_KEPT_MAX);
        let ended = jobs.values().filter(|held| held.job.state != ImageJobState::Running).take(surplus);
        let forgotten: Vec<ImageJob> = ended.map(Held::shown).collect();
        for job in &forgotten {
            jobs.remove(&job.id);
        }
        Ok(forgotten)
    }

    fn end(&self, id: ImageJobId, state: ImageJobState, now: Millis) -> Option<ImageJob> {
        let mut jobs = self.jobs();
        let held = jobs.get_mut(&id)?;
        held.job.state = state;
        held.job.finished_at = Some(now);
        Some(held.shown())
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<ImageJobId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins a pull, once it is written down.
pub(super) async fn start(
    context: &Arc<Context>,
    tenant: TenantId,
    name: ImageName,
    pull: PullRequest,
) -> Result<ImageJob> {
    let (progress, seen) = watch::channel(PullProgress::default());
    let job = ImageJob {
        id: context.parts.entropy.image_job(),
        tenant,
        name,
        reference: pull.reference.clone(),
        state: ImageJobState::Running,
        progress: PullProgress::default(),
        created_at: context.now(),
        finished_at: None,
    };
    let (cancel, ended) = (CancellationToken::new(), CancellationToken::new());
    let held = Held { job: job.clone(), progress: seen, cancel, ended };
    for forgotten in context.image_jobs.add(held.clone())? {
        context.parts.images.forget(&forgotten).await;
    }
    if let Err(error) = context.parts.images.remember(&job).await {
        context.image_jobs.jobs().remove(&job.id);
        return Err(error);
    }
    context.spawn(run(Arc::clone(context), held, pull, progress));
    Ok(job)
}

async fn run(context: Arc<Context>, held: Held, pull: PullRequest, progress: watch::Sender<PullProgress>) {
    let _ended = held.ended.drop_guard();
    let (id, name) = (held.job.id, held.job.name.clone());
    let pulling = tokio::time::timeout(limits::IMAGE_PULL_DEADLINE, make(&context, name, &pull, &progress));
    let state = match held.cancel.run_until_cancelled(pulling).await {
        None => ImageJobState::Cancelled,
        Some(Ok(Ok(digest))) => ImageJobState::Finished { digest },
        Some(Ok(Err(error))) => {
            tracing::warn!(job = %id, reference = pull.reference, ?error, "image not pulled");
            ImageJobState::failed(&error)
        }
        Some(Err(_)) => ImageJobState::failed(&Error::new(Code::Unavailable, "the pull took too long; pull again")),
    };
    if let Some(job) = context.image_jobs.end(id, state, context.now()) {
        tracing::info!(job = %id, image = %job.name, state = job.state.as_str(), "pull ended");
        if let Err(error) = context.parts.images.remember(&job).await {
            tracing::warn!(job = %id, ?error, "the end of a pull was not written down");
        }
    }
}

async fn make(
    context: &Arc<Context>,
    name: ImageName,
    pull: &PullRequest,
    progress: &watch::Sender<PullProgress>,
) -> Result<String> {
    let made = context.parts.images.pull(pull, progress).await?;
    progress.send_modify(|progress| progress.stage = PullStage::Publishing);
    let new = NewImage { name, source: pull.reference.clone() };
    publish(context, new, made).await.map(|details| details.digest)
}
