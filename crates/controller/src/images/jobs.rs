//! Pulls and builds under way, and what became of those before.
//!
//! A job is written down before it begins and when it has ended. One that a server did not bring to its end is failed
//! when the next one begins: its caller asks again. What was downloaded need not be downloaded twice; the sandbox of a
//! build goes.

mod run;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_model::{Code, Error, ImageJobId, ImageName, Millis, Result, SandboxId, TenantId, limits};
use sentinal_store::Page;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(super) use self::run::{NewJob, Working, start};

use super::{
    ImageProgress, MakeImages,
    log::{Log, Reading},
};
use crate::context::Context;

/// A pull or a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageJob {
    /// Its id.
    pub id: ImageJobId,
    /// Whose.
    pub tenant: TenantId,
    /// What the image is to be called.
    pub name: ImageName,
    /// Where it comes from.
    pub kind: ImageJobKind,
    /// What became of it.
    pub state: ImageJobState,
    /// How far it came.
    pub progress: ImageProgress,
    /// When it was asked for.
    pub created_at: Millis,
    /// When it ended.
    pub finished_at: Option<Millis>,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageJobKind {
    /// From a registry.
    Pull {
        /// What is pulled.
        reference: String,
    },
    /// From a sandbox.
    Build {
        /// Which, once there is one. No other server goes on with it.
        sandbox: Option<SandboxId>,
    },
}

/// What became of a job.
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

impl ImageJobKind {
    /// As callers see it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pull { .. } => "pull",
            Self::Build { .. } => "build",
        }
    }

    const fn interrupted(&self) -> &'static str {
        match self {
            Self::Pull { .. } => "the server was started again meanwhile; pull again, and it goes on where it was",
            Self::Build { .. } => "the server was started again meanwhile; build again",
        }
    }
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

/// All jobs that are known.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<BTreeMap<ImageJobId, Held>>);

#[derive(Debug, Clone)]
struct Held {
    job: ImageJob,
    progress: watch::Receiver<ImageProgress>,
    log: Arc<Log>,
    cancel: CancellationToken,
    ended: CancellationToken,
}

impl Held {
    fn shown(&self) -> ImageJob {
        let progress = *self.progress.borrow();
        ImageJob { progress, ..self.job.clone() }
    }
}

/// What an earlier server has written down, at its end; and the sandboxes that it left.
pub(crate) async fn remembered(maker: &dyn MakeImages, now: Millis) -> Result<(Jobs, Vec<SandboxId>)> {
    let (mut jobs, mut left) = (BTreeMap::new(), Vec::new());
    for mut job in maker.remembered().await? {
        if job.state == ImageJobState::Running {
            job.state = ImageJobState::failed(&Error::new(Code::Unavailable, job.kind.interrupted()));
            job.finished_at = Some(now);
            maker.remember(&job).await?;
        }
        if let ImageJobKind::Build { sandbox } = job.kind {
            left.extend(sandbox);
        }
        let (_, progress) = watch::channel(job.progress);
        let (cancel, ended) = (CancellationToken::new(), CancellationToken::new());
        ended.cancel();
        jobs.insert(job.id, Held { job, progress, log: Arc::default(), cancel, ended });
    }
    Ok((Jobs(Mutex::new(jobs)), left))
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

    /// What a job has said from an offset on; if it is followed, until its end.
    pub(crate) fn log(
        &self,
        tenant: &TenantId,
        id: ImageJobId,
        (offset, follow): (u64, bool),
    ) -> Result<BoxStream<'static, Bytes>> {
        let Held { log, ended, .. } = self.held(tenant, id)?;
        Ok(Reading::new(log, ended, (offset, follow)).stream())
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
        held.ok_or_else(|| Error::not_found("there is no pull or build with this id"))
    }

    /// Adds one, unless there are as many as there may be. Answers those that are forgotten for it.
    fn add(&self, held: Held) -> Result<Vec<ImageJob>> {
        let mut jobs = self.jobs();
        let running = jobs.values().filter(|held| held.job.state == ImageJobState::Running).count();
        if limits::IMAGE_JOBS_RUNNING_MAX <= running {
            let message =
                format!("{running} images are being pulled or built, which is the limit; wait for one of them");
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

    /// Changes what is known of one.
    fn change(&self, id: ImageJobId, change: impl FnOnce(&mut ImageJob)) -> Option<ImageJob> {
        let mut jobs = self.jobs();
        let held = jobs.get_mut(&id)?;
        change(&mut held.job);
        Some(held.shown())
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<ImageJobId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the sandboxes of builds that an earlier server left.
pub(crate) fn clear(context: &Context, left: &[SandboxId]) {
    for entry in left.iter().filter_map(|id| context.table.get(*id)) {
        entry.abandon();
    }
}
