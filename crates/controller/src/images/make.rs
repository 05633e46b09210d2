//! Who makes images out of what others have made.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_model::{Code, Error, Result};
use sentinal_node_protocol::ImageConfig;
use tokio::sync::watch;

use super::ImageJob;

/// Makes images. All that is read for that is hostile, and none of it is touched by the controller.
#[async_trait]
pub trait MakeImages: Send + Sync + fmt::Debug {
    /// Out of an archive. Dropping the future ends the work and leaves nothing.
    async fn import(&self, archive: BoxStream<'static, Result<Bytes>>) -> Result<MadeImage>;

    /// Whether a pull makes sense, as far as that can be told without asking anybody.
    fn check(&self, pull: &PullRequest) -> Result<()>;

    /// Out of a registry. Dropping the future ends the work; what was downloaded is kept for a while, for another try.
    async fn pull(&self, pull: &PullRequest, progress: &watch::Sender<ImageProgress>) -> Result<MadeImage>;

    /// Takes the files that a build copies from. They go when nobody holds them any more.
    async fn context(&self, archive: BoxStream<'static, Result<Bytes>>) -> Result<Box<dyn BuildContext>>;

    /// Out of all that a sandbox sees as its root. Dropping the future ends the work and leaves nothing.
    async fn assemble(&self, root: BoxStream<'static, Result<Bytes>>, config: &ImageConfig) -> Result<MadeImage>;

    /// Writes down what became of a job, where the next server finds it.
    async fn remember(&self, job: &ImageJob) -> Result<()>;

    /// Forgets a job.
    async fn forget(&self, job: &ImageJob);

    /// What was written down.
    async fn remembered(&self) -> Result<Vec<ImageJob>>;
}

/// The files that a build copies from. Paths are within it, without dots; the last part of a source may have `*` and `?`.
#[async_trait]
pub trait BuildContext: Send + Sync + fmt::Debug {
    /// A small file, as text.
    async fn text(&self, path: &str) -> Result<String>;

    /// Whether sources name one file and no more. What is not there is `invalid_request`.
    fn is_one_file(&self, sources: &[String]) -> Result<bool>;

    /// An archive of what sources name: of folders what is in them. `name` is what a single file is called.
    fn pick(&self, sources: &[String], name: Option<&str>) -> Result<BoxStream<'static, Result<Bytes>>>;
}

/// A finished image, on its way to a node.
pub struct MadeImage {
    /// What it contains, `sha256:` and 64 digits.
    pub digest: String,
    /// Its length.
    pub size_bytes: u64,
    /// How its programs want to be started.
    pub config: ImageConfig,
    /// All of it. Whatever it is kept in is gone when this is dropped.
    pub content: BoxStream<'static, Bytes>,
}

/// Which image of which registry.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// `HOST/REPOSITORY:TAG` or `HOST/REPOSITORY@sha256:...`.
    pub reference: String,
    /// For registries that do not serve everybody.
    pub credentials: Option<Credentials>,
}

/// A user of a registry. Held in memory as long as the pull, written nowhere, never printed.
#[derive(Clone)]
pub struct Credentials {
    /// Who.
    pub username: String,
    /// A password, or a token that is used as one.
    pub password: String,
}

/// How far a pull or a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageProgress {
    /// What is being done.
    pub stage: ImageStage,
    /// Steps of a build that are done.
    pub steps_done: u64,
    /// Steps of a build; zero for a pull.
    pub steps_total: u64,
    /// Of all layers, downloaded; of a build, of the sandbox's files that were collected.
    pub bytes_done: u64,
    /// Of all layers; zero until it is known, and for a build.
    pub bytes_total: u64,
    /// Layers that are downloaded, and later those that are unpacked.
    pub layers_done: u64,
    /// Layers; zero until it is known.
    pub layers_total: u64,
}

/// What is being done for a pull or a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageStage {
    /// The registry is asked what the image is made of.
    #[default]
    Resolving,
    /// Layers are downloaded.
    Downloading,
    /// A build's sandbox comes up.
    Preparing,
    /// Steps are carried out in it.
    Building,
    /// What it has become is read back.
    Collecting,
    /// A pull's layers are unpacked into one image.
    Unpacking,
    /// It is handed to the node.
    Publishing,
}

impl ImageStage {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Resolving,
        Self::Downloading,
        Self::Preparing,
        Self::Building,
        Self::Collecting,
        Self::Unpacking,
        Self::Publishing,
    ];

    /// As callers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolving => "resolving",
            Self::Downloading => "downloading",
            Self::Preparing => "preparing",
            Self::Building => "building",
            Self::Collecting => "collecting",
            Self::Unpacking => "unpacking",
            Self::Publishing => "publishing",
        }
    }
}

impl fmt::Debug for MadeImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeImage").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A server that makes no images.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoImages;

fn makes_none() -> Error {
    Error::new(Code::NotSupported, "this server makes no images")
}

#[async_trait]
impl MakeImages for NoImages {
    async fn import(&self, _: BoxStream<'static, Result<Bytes>>) -> Result<MadeImage> {
        Err(makes_none())
    }

    fn check(&self, _: &PullRequest) -> Result<()> {
        Err(makes_none())
    }

    async fn pull(&self, _: &PullRequest, _: &watch::Sender<ImageProgress>) -> Result<MadeImage> {
        Err(makes_none())
    }

    async fn context(&self, _: BoxStream<'static, Result<Bytes>>) -> Result<Box<dyn BuildContext>> {
        Err(makes_none())
    }

    async fn assemble(&self, _: BoxStream<'static, Result<Bytes>>, _: &ImageConfig) -> Result<MadeImage> {
        Err(makes_none())
    }

    async fn remember(&self, _: &ImageJob) -> Result<()> {
        Err(makes_none())
    }

    async fn forget(&self, _: &ImageJob) {}

    async fn remembered(&self) -> Result<Vec<ImageJob>> {
        Ok(Vec::new())
    }
}
