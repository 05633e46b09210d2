//! Where images are made: a folder of the server's own.
//!
//! ```text
//! <folder>
//!   work/<random>/      one image under way; emptied when the server starts
//!   layers/<hex>        a layer that was downloaded, or <hex>.part: the beginning of one
//! ```

use std::{fs, io, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use rustix::fs::statvfs;
use sentinal_image::{Config, Digest};
use sentinal_model::{
    Error,
    limits::{
        ARCHIVE_STREAM_BYTES_MAX, DISK_AVAILABLE_PERCENT_MIN, IMAGE_ARCHIVE_BYTES_MAX, IMAGE_IMPORTS_MAX,
        IMAGE_JOBS_RUNNING_MAX,
    },
};
use tempfile::TempDir;
use tokio::{
    fs::File,
    io::AsyncReadExt as _,
    sync::{Semaphore, SemaphorePermit},
};

use crate::{
    Context, ImportError, Program, layout,
    limits::CHUNK_BYTES,
    registry::{Credentials, Layers, Progress, Reference, Registries, Registry, Stage},
    worker::{Unpacked, unpack},
};

/// Makes images. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workshop {
    work: PathBuf,
    layers: Arc<Layers>,
    program: Program,
    registries: Registries,
    turns: Arc<Semaphore>,
    /// Of builds, from the first byte of their context to their end.
    contexts: Arc<Semaphore>,
}

/// A finished image.
pub struct Made {
    /// What it contains.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// How its programs want to be started.
    pub config: Config,
    /// All of it; what it is kept in goes with this. One that ends early could not be read.
    pub content: BoxStream<'static, Bytes>,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Workshop {
    /// In a folder that nobody else uses; what a server before this one left of its work goes.
    pub fn open(folder: impl Into<PathBuf>, program: Program, registries: Registries) -> Result<Self, ImportError> {
        let folder = folder.into();
        let (work, layers) = (folder.join("work"), folder.join("layers"));
        match fs::remove_dir_all(&work) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(ImportError::io("empty", work)(error)),
            Ok(()) | Err(_) => {}
        }
        for folder in [&work, &layers] {
            fs::create_dir_all(folder).map_err(ImportError::io("make", folder))?;
        }
        Ok(Self {
            work,
            layers: Arc::new(Layers::new(layers)),
            program,
            registries,
            turns: Arc::new(Semaphore::new(IMAGE_IMPORTS_MAX)),
            contexts: Arc::new(Semaphore::new(IMAGE_JOBS_RUNNING_MAX)),
        })
    }

    /// Refuses what would be written where too little is free.
    fn check_room(&self) -> Result<(), ImportError> {
        let stat =
            statvfs(&self.work).map_err(|error| ImportError::io("look for space in", &self.work)(error.into()))?;
        let percent = stat.f_bavail.saturating_mul(100) / stat.f_blocks.max(1);
        if percent < DISK_AVAILABLE_PERCENT_MIN {
            return Err(ImportError::NoRoom { percent_min: DISK_AVAILABLE_PERCENT_MIN });
        }
        Ok(())
    }

    /// Out of an archive: an OCI layout, what `docker save` writes, or the files of an image.
    pub async fn import(&self, archive: BoxStream<'static, Result<Bytes, Error>>) -> Result<Made, ImportError> {
        let _turn = self.turns.try_acquire().map_err(|_| ImportError::Busy { max: IMAGE_IMPORTS_MAX })?;
        self.check_room()?;
        let folder = self.folder()?;
        let input = folder.path().join("archive");
        spool(archive, &input, IMAGE_ARCHIVE_BYTES_MAX).await?;
        let unpacked = unpack(&self.program, &input, folder.path(), &|_, _| {}).await?;
        finished(unpacked, folder).await
    }

    /// Whether the server may ask the registry that a reference names.
    pub fn check(&self, reference: &str) -> Result<Reference, ImportError> {
        let reference: Reference = reference.parse()?;
        self.registries.check(&reference)?;
        Ok(reference)
    }

    /// Out of a registry. `progress` hears how far it is.
    pub async fn pull(
        &self,
        reference: &Reference,
        credentials: Option<Credentials>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Made, ImportError> {
        self.check_room()?;
        let registry = Registry::new(&self.registries, reference.clone(), credentials)?;
        let image = registry.resolve().await?;
        let downloaded = self.layers.download(&registry, &image, progress).await?;
        let _turn = self.turn().await;
        let folder = self.folder()?;
        let layout = folder.path().join("layout");
        image.lay_out(&downloaded, &layout)?;
        let bytes = image.bytes();
        let unpacking = |done: usize, all: usize| {
            let (layers_done, layers_total) = (done as u64, all as u64);
            progress(Progress {
                stage: Stage::Unpacking,
                bytes_done: bytes,
                bytes_total: bytes,
                layers_done,
                layers_total,
            });
        };
        let unpacked = unpack(&self.program, &layout, folder.path(), &unpacking).await?;
        self.layers.tidy();
        finished(unpacked, folder).await
    }

    /// Takes the files that a build copies from: an archive that is not compressed.
    pub async fn context(&self, archive: BoxStream<'static, Result<Bytes, Error>>) -> Result<Context, ImportError> {
        let turn = Arc::clone(&self.contexts).try_acquire_owned();
        let turn = turn.map_err(|_| ImportError::Busy { max: IMAGE_JOBS_RUNNING_MAX })?;
        self.check_room()?;
        let folder = self.folder()?;
        let path = folder.path().join("context");
        spool(archive, &path, ARCHIVE_STREAM_BYTES_MAX).await?;
        let archive = fs::File::open(&path).map_err(ImportError::io("open", path))?;
        Context::read(archive, folder, turn).await
    }

    /// Out of all that a sandbox sees as its root, and how the programs of it are started.
    pub async fn assemble(
        &self,
        root: BoxStream<'static, Result<Bytes, Error>>,
        config: &Config,
    ) -> Result<Made, ImportError> {
        let folder = self.folder()?;
        let layout = folder.path().join("layout");
        layout::of_root(&layout, root, config).await?;
        let _turn = self.turn().await;
        let unpacked = unpack(&self.program, &layout, folder.path(), &|_, _| {}).await?;
        finished(unpacked, folder).await
    }

    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.turns.acquire().await.ok()
    }

    fn folder(&self) -> Result<TempDir, ImportError> {
        tempfile::tempdir_in(&self.work).map_err(ImportError::io("make a folder in", &self.work))
    }
}

/// Writes an archive to the disk, and looks at nothing but its length.
async fn spool(
    archive: BoxStream<'static, Result<Bytes, Error>>,
    path: &std::path::Path,
    bytes_max: u64,
) -> Result<(), ImportError> {
    layout::written(archive, path, bytes_max).await.map(drop)
}

/// The file is what its name leads to: nobody else writes in its folder.
async fn finished(unpacked: Unpacked, folder: TempDir) -> Result<Made, ImportError> {
    let path = folder.path().join("image.erofs");
    let file = File::open(&path).await.map_err(ImportError::io("open", path))?;
    let Unpacked { digest, size_bytes, config } = unpacked;
    let content = stream::unfold((file, folder), |(mut file, folder)| async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        let count = file.read(&mut chunk).await.unwrap_or(0);
        chunk.truncate(count);
        (0 < count).then(|| (Bytes::from(chunk), (file, folder)))
    });
    Ok(Made { digest, size_bytes, config, content: content.boxed() })
}
