//! What a build copies from: an archive of its caller's, on the disk as it came.
//!
//! It is read once, to know what is where. No entry of it becomes a file here: what is copied goes from the archive, under
//! new names, into an archive for the sandbox, and is unpacked there. Its names are held in bounded space, its contents
//! not at all.

mod index;
mod pick;

use std::{fs::File, os::unix::fs::FileExt as _, sync::Arc};

use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use sentinal_model::Error;
use tempfile::TempDir;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::spawn_blocking,
};

use self::index::{Body, Index};
use crate::{ImportError, limits::TEXT_BYTES_MAX};

/// Pieces on their way to a sandbox.
const PIECES_MAX: usize = 8;

/// A build's files. What they are kept in goes with this. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    archive: File,
    index: Index,
    _folder: TempDir,
    _turn: OwnedSemaphorePermit,
}

impl Context {
    /// Of an archive that is on the disk. `folder` is what it is in.
    pub(crate) async fn read(archive: File, folder: TempDir, turn: OwnedSemaphorePermit) -> Result<Self, ImportError> {
        let read = move || {
            let index = Index::of(&archive)?;
            Ok(Self(Arc::new(Kept { archive, index, _folder: folder, _turn: turn })))
        };
        spawn_blocking(read).await.map_err(|_| ImportError::Worker("its files could not be read"))?
    }

    /// A small file of it, as text.
    pub async fn text(&self, path: &str) -> Result<String, ImportError> {
        let (kept, path) = (Arc::clone(&self.0), path.to_owned());
        let read = move || {
            let Some(Body::File { offset, size }) = kept.index.at(path.as_bytes()) else {
                return Err(context(format!("there is no file {path:?} in the context")));
            };
            if TEXT_BYTES_MAX < size {
                return Err(context(format!("{path:?} has more than {TEXT_BYTES_MAX} bytes")));
            }
            let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
            kept.archive.read_exact_at(&mut bytes, offset).map_err(ImportError::io("read", "the context"))?;
            String::from_utf8(bytes).map_err(|_| context(format!("{path:?} is no text in UTF-8")))
        };
        spawn_blocking(read).await.map_err(|_| ImportError::Worker("its files could not be read"))?
    }

    /// Whether these paths name one file and no more. Refuses what is not there.
    pub fn is_one_file(&self, sources: &[String]) -> Result<bool, ImportError> {
        let found = pick::sources(&self.0.index, sources)?;
        Ok(matches!(&found[..], [path] if matches!(self.0.index.at(path), Some(Body::File { .. }))))
    }

    /// What is at these paths, as an archive: of folders what is in them, of files themselves. `name` is what a single
    /// file is called in it.
    pub fn pick(
        &self,
        sources: &[String],
        name: Option<&str>,
    ) -> Result<BoxStream<'static, Result<Bytes, Error>>, ImportError> {
        let picked = pick::entries(&self.0.index, sources, name)?;
        let (sender, mut receiver) = mpsc::channel(PIECES_MAX);
        let kept = Arc::clone(&self.0);
        spawn_blocking(move || pick::send(&kept.archive, &picked, &sender));
        Ok(stream::poll_fn(move |context| receiver.poll_recv(context)).boxed())
    }
}

fn context(message: String) -> ImportError {
    ImportError::Refused(Error::invalid(message))
}

#[cfg(test)]
mod tests;
