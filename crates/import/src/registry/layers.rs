//! Layers on the disk: downloaded several at once, added up as they come, gone on with where a connection broke.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Response, StatusCode, header::CONTENT_RANGE};
use sentinal_image::{Digest, Sum};
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::sleep,
};

use super::{
    Progress, Stage,
    client::{Registry, failed},
    image::RemoteImage,
};
use crate::{
    ImportError,
    limits::{CHUNK_BYTES, FRUITLESS_TRIES_MAX, KEPT_AGE_MAX, KEPT_BYTES_MAX, LAYERS_AT_ONCE, RETRY_PAUSE},
};

/// The layers that are there, whole or in part.
#[derive(Debug)]
pub(crate) struct Layers {
    folder: PathBuf,
    /// Two pulls of the same layer take turns.
    busy: Mutex<HashMap<Digest, Arc<AsyncMutex<()>>>>,
}

/// How far a download is, told to whoever listens.
struct Told<'a> {
    progress: &'a (dyn Fn(Progress) + Sync),
    bytes_done: AtomicU64,
    bytes_total: u64,
    layers_done: AtomicU64,
    layers_total: u64,
}

impl Told<'_> {
    fn tell(&self) {
        (self.progress)(Progress {
            stage: Stage::Downloading,
            bytes_done: self.bytes_done.load(Ordering::Relaxed),
            bytes_total: self.bytes_total,
            layers_done: self.layers_done.load(Ordering::Relaxed),
            layers_total: self.layers_total,
        });
    }

    fn bytes(&self, count: u64) {
        self.bytes_done.fetch_add(count, Ordering::Relaxed);
        self.tell();
    }

    /// What was counted counts no longer.
    fn take_back(&self, count: u64) {
        self.bytes_done.fetch_sub(count, Ordering::Relaxed);
        self.tell();
    }

    fn layer(&self) {
        self.layers_done.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }
}

/// The beginning of a layer.
struct Part {
    path: PathBuf,
    file: File,
    sum: Sum,
    length: u64,
    size: u64,
}

impl Layers {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, busy: Mutex::default() }
    }

    /// Answers where each layer of an image is.
    pub(crate) async fn download(
        &self,
        registry: &Registry,
        image: &RemoteImage,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<BTreeMap<Digest, PathBuf>, ImportError> {
        let told = Told {
            progress,
            bytes_done: AtomicU64::new(0),
            bytes_total: image.bytes(),
            layers_done: AtomicU64::new(0),
            layers_total: image.layers.len() as u64,
        };
        told.tell();
        let told = &told;
        let one = |(digest, size): (Digest, u64)| async move {
            let path = self.one(registry, digest, size, told).await?;
            told.layer();
            Ok((digest, path))
        };
        let layers: Vec<(Digest, u64)> = image.layers.iter().map(|(digest, size)| (*digest, *size)).collect();
        stream::iter(layers).map(one).buffer_unordered(LAYERS_AT_ONCE).try_collect().await
    }

    async fn one(
        &self,
        registry: &Registry,
        digest: Digest,
        size: u64,
        told: &Told<'_>,
    ) -> Result<PathBuf, ImportError> {
        let _turn = self.turn(digest).await;
        let path = self.folder.join(digest.hex());
        // Whoever put it here had added it up, and it is added up once more when it is unpacked.
        if fs::metadata(&path).is_ok_and(|found| found.len() == size) {
            told.bytes(size);
            return Ok(path);
        }
        let mut part = Part::open(path.with_extension("part"), size).await?;
        told.bytes(part.length);
        let mut fruitless = 0;
        loop {
            let before = part.length;
            match part.go_on(registry, digest, told).await {
                Ok(()) => break,
                Err(error @ ImportError::Registry { .. }) => {
                    fruitless = if before < part.length { 0 } else { fruitless + 1 };
                    if FRUITLESS_TRIES_MAX <= fruitless {
                        return Err(error);
                    }
                    sleep(RETRY_PAUSE * 2_u32.pow(fruitless)).await;
                }
                Err(error) => return Err(error),
            }
        }
        part.finish(digest, &path).await?;
        Ok(path)
    }

    async fn turn(&self, digest: Digest) -> OwnedMutexGuard<()> {
        let turn = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            busy.retain(|_, turn| 1 < Arc::strong_count(turn));
            Arc::clone(busy.entry(digest).or_default())
        };
        turn.lock_owned().await
    }

    /// Removes what was kept for too long, and of the rest the oldest until it is little enough. What is being read or
    /// written is not lost by it: it is open, or linked elsewhere, or is downloaded again.
    pub(crate) fn tidy(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut kept: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let found = entry.metadata().ok()?;
                Some((found.modified().ok()?, found.len(), entry.path()))
            })
            .collect();
        kept.sort_unstable();
        let mut bytes: u64 = kept.iter().map(|(_, length, _)| length).sum();
        for (modified, length, path) in kept {
            let age = modified.elapsed().unwrap_or(Duration::ZERO);
            if age <= KEPT_AGE_MAX && bytes <= KEPT_BYTES_MAX {
                return;
            }
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "a layer that was kept cannot be removed");
            }
            bytes -= length;
        }
    }
}

impl Part {
    /// What is there of it, added up.
    async fn open(path: PathBuf, size: u64) -> Result<Self, ImportError> {
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&path).await;
        let mut file = opened.map_err(ImportError::io("open", &path))?;
        let (mut sum, mut length, mut chunk) = (Sum::default(), 0_u64, vec![0; CHUNK_BYTES]);
        loop {
            let count = file.read(&mut chunk).await.map_err(ImportError::io("read", &path))?;
            if count == 0 {
                break;
            }
            sum.add(&chunk[..count]);
            length += count as u64;
        }
        let mut part = Self { path, file, sum, length, size };
        if size < length {
            part.begin_again().await?;
        }
        Ok(part)
    }

    async fn begin_again(&mut self) -> Result<(), ImportError> {
        self.file.set_len(0).await.map_err(ImportError::io("empty", &self.path))?;
        (self.sum, self.length) = (Sum::default(), 0);
        Ok(())
    }

    /// Asks for the rest. An error may leave more of it than there was.
    async fn go_on(&mut self, registry: &Registry, digest: Digest, told: &Told<'_>) -> Result<(), ImportError> {
        if self.length == self.size {
            return Ok(());
        }
        let mut response = registry.blob(digest, self.length).await?;
        if 0 < self.length && !goes_on_at(&response, self.length) {
            if response.status() == StatusCode::PARTIAL_CONTENT {
                return Err(registry.broken("it answers another part than it was asked for"));
            }
            told.take_back(self.length);
            self.begin_again().await?;
        }
        let host = &registry.reference.host;
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(host, &error))? {
            if self.size < self.length + chunk.len() as u64 {
                let why = format!("it has more than the {} bytes that its manifest names", self.size);
                // Nothing of it is what it should be.
                self.begin_again().await?;
                return Err(ImportError::Wrong { what: digest.to_string(), why });
            }
            self.file.write_all(&chunk).await.map_err(ImportError::io("write", &self.path))?;
            self.sum.add(&chunk);
            self.length += chunk.len() as u64;
            told.bytes(chunk.len() as u64);
        }
        if self.length == self.size { Ok(()) } else { Err(registry.broken("it ends before its end")) }
    }

    /// Gives it the name of what it is, or takes it away.
    async fn finish(mut self, digest: Digest, path: &Path) -> Result<(), ImportError> {
        self.file.flush().await.map_err(ImportError::io("write", &self.path))?;
        let found = self.sum.digest();
        if found != digest {
            let _ = fs::remove_file(&self.path);
            return Err(ImportError::Wrong { what: digest.to_string(), why: format!("its digest is {found}") });
        }
        fs::rename(&self.path, path).map_err(ImportError::io("rename", &self.path))
    }
}

/// `Content-Range: bytes 100-199/200` says where an answer begins.
fn goes_on_at(response: &Response, offset: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")).and_then(|range| range.split_once('-'));
    response.status() == StatusCode::PARTIAL_CONTENT && start.is_some_and(|(start, _)| start.parse() == Ok(offset))
}
