//! Who makes images for the controller: the workshop, and a file for each pull and build.

mod row;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_controller::{
    BuildContext, ImageConfig, ImageJob, ImageProgress, ImageStage, MadeImage, MakeImages, PullRequest,
};
use sentinal_image::{Config, RunAs};
use sentinal_import::{Context, Credentials, ImportError, Made, Program, Progress, Registries, Stage, Workshop};
use sentinal_model::{Error, Result};
use tokio::sync::watch;

/// The word that makes this program the process that looks into an image; for `serve` alone.
pub(crate) const WORKER: &str = "unpack-for-server";

/// Makes images in a folder of the server's own.
#[derive(Debug)]
pub(crate) struct Images {
    workshop: Workshop,
    jobs: PathBuf,
}

impl Images {
    /// In this folder, from these registries beside those that everybody can see.
    pub(crate) fn open(folder: &Path, registries: &[String]) -> anyhow::Result<Self> {
        let registries = Registries::new(registries).map_err(|error| anyhow::anyhow!("--registry: {error}"))?;
        // This very program, wherever it is and whether or not its name leads to another one by now.
        let program = Program { path: "/proc/self/exe".into(), word: WORKER.into() };
        let jobs = folder.join("jobs");
        fs::create_dir_all(&jobs)?;
        Ok(Self { workshop: Workshop::open(folder, program, registries)?, jobs })
    }

    fn path(&self, job: &ImageJob) -> PathBuf {
        self.jobs.join(format!("{}.json", job.id))
    }
}

#[async_trait]
impl MakeImages for Images {
    async fn import(&self, archive: BoxStream<'static, Result<Bytes>>) -> Result<MadeImage> {
        Ok(made(self.workshop.import(archive).await?))
    }

    fn check(&self, pull: &PullRequest) -> Result<()> {
        Ok(self.workshop.check(&pull.reference).map(drop)?)
    }

    async fn pull(&self, pull: &PullRequest, progress: &watch::Sender<ImageProgress>) -> Result<MadeImage> {
        let reference = self.workshop.check(&pull.reference)?;
        let credentials = pull.credentials.clone();
        let credentials = credentials.map(|given| Credentials { username: given.username, password: given.password });
        let told = |at: Progress| {
            progress.send_replace(shown(at));
        };
        Ok(made(self.workshop.pull(&reference, credentials, &told).await?))
    }

    async fn context(&self, archive: BoxStream<'static, Result<Bytes>>) -> Result<Box<dyn BuildContext>> {
        Ok(Box::new(Files(self.workshop.context(archive).await?)))
    }

    async fn assemble(&self, root: BoxStream<'static, Result<Bytes>>, config: &ImageConfig) -> Result<MadeImage> {
        let ImageConfig { env, working_dir, user, entrypoint, cmd, .. } = config.clone();
        let config = Config { env, working_dir, user, run_as: RunAs::Ordinary, entrypoint, cmd };
        Ok(made(self.workshop.assemble(root, &config).await?))
    }

    async fn remember(&self, job: &ImageJob) -> Result<()> {
        let (path, bytes) = (self.path(job), row::to_json(job));
        on_disk(move || replace(&path, &bytes)).await
    }

    async fn forget(&self, job: &ImageJob) {
        let path = self.path(job);
        if let Err(error) = on_disk(move || fs::remove_file(path)).await {
            tracing::warn!(job = %job.id, ?error, "a pull that nobody asks for any more is still written down");
        }
    }

    async fn remembered(&self) -> Result<Vec<ImageJob>> {
        let jobs = self.jobs.clone();
        on_disk(move || row::read_all(&jobs)).await
    }
}

/// What a build copies from.
#[derive(Debug)]
struct Files(Context);

#[async_trait]
impl BuildContext for Files {
    async fn text(&self, path: &str) -> Result<String> {
        Ok(self.0.text(path).await?)
    }

    fn is_one_file(&self, sources: &[String]) -> Result<bool> {
        Ok(self.0.is_one_file(sources)?)
    }

    fn pick(&self, sources: &[String], name: Option<&str>) -> Result<BoxStream<'static, Result<Bytes>>> {
        Ok(self.0.pick(sources, name)?)
    }
}

/// Whole or not at all, whenever the process dies.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, bytes)?;
    fs::File::open(&fresh)?.sync_all()?;
    fs::rename(fresh, path)
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| Error::internal(&error))?;
    done.map_err(|source| ImportError::Io { doing: "write down", path: "a pull".into(), source }.into())
}

fn made(made: Made) -> MadeImage {
    let runs_as_user = made.config.run_as == RunAs::Image;
    let config = ImageConfig {
        env: made.config.env,
        working_dir: made.config.working_dir,
        user: made.config.user,
        runs_as_user,
        entrypoint: made.config.entrypoint,
        cmd: made.config.cmd,
    };
    MadeImage { digest: made.digest.to_string(), size_bytes: made.size_bytes, config, content: made.content }
}

const fn shown(progress: Progress) -> ImageProgress {
    ImageProgress {
        stage: match progress.stage {
            Stage::Downloading => ImageStage::Downloading,
            Stage::Unpacking => ImageStage::Unpacking,
        },
        steps_done: 0,
        steps_total: 0,
        bytes_done: progress.bytes_done,
        bytes_total: progress.bytes_total,
        layers_done: progress.layers_done,
        layers_total: progress.layers_total,
    }
}
