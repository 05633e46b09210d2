//! An image that comes from elsewhere, piece by piece.
//!
//! Whoever sends it made it somewhere else and may still have it open: what counts is what was written here, by us.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use rustix::fs::{FlockOperation, flock};
use tempfile::{Builder, TempPath};

use super::{ImageRef, ImageStore, names_in};
use crate::{Digest, ImageError, Label, Sum, limits::IMAGE_BYTES_MAX, space};

const PREFIX: &str = ".incoming-";

/// An image on its way. Dropped, it is gone.
#[derive(Debug)]
pub struct Incoming {
    store: ImageStore,
    path: TempPath,
    /// Locked, so that nobody takes it for what a crash has left.
    file: File,
    sum: Sum,
    size_bytes: u64,
    left: u64,
}

impl ImageStore {
    /// Makes room for an image of this size.
    pub fn receive(&self, size_bytes: u64) -> Result<Incoming, ImageError> {
        if IMAGE_BYTES_MAX < size_bytes {
            return Err(ImageError::TooLarge { what: "the image", max: IMAGE_BYTES_MAX, unit: "bytes" });
        }
        self.create_folders()?;
        space::check_image(self.root(), size_bytes)?;
        let made = Builder::new().prefix(PREFIX).tempfile_in(self.root());
        let (file, path) = made.map_err(ImageError::io("make a file in", self.root()))?.into_parts();
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| ImageError::io("lock", path.to_path_buf())(error.into()))?;
        Ok(Incoming { store: self.clone(), path, file, sum: Sum::default(), size_bytes, left: size_bytes })
    }

    /// Removes what was being received when its process died. What another process is receiving is locked, and stays.
    pub fn sweep_incoming(&self) -> Result<(), ImageError> {
        for name in names_in(self.root())?.iter().filter(|name| name.starts_with(PREFIX)) {
            let path = self.root().join(name);
            let file = OpenOptions::new().write(true).custom_flags(nofollow()).open(&path);
            let is_left = file.as_ref().is_ok_and(|file| flock(file, FlockOperation::NonBlockingLockExclusive).is_ok());
            if is_left && fs::remove_file(&path).is_ok() {
                tracing::info!(name, "half an image removed");
            }
        }
        Ok(())
    }
}

fn nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

impl Incoming {
    /// Takes the next piece.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or(ImageError::TooLarge { what: "the image", max: self.size_bytes, unit: "bytes" })?;
        self.sum.add(bytes);
        self.file.write_all(bytes).map_err(ImageError::io("write", self.path.to_path_buf()))
    }

    /// Gives it a name, if it is what was promised.
    pub fn finish(self, expected: Digest, label: Label) -> Result<ImageRef, ImageError> {
        let found = self.sum.digest();
        if self.left != 0 || found != expected {
            let (expected, found) = (expected.to_string(), found.to_string());
            return Err(ImageError::WrongDigest { what: "the image".to_owned(), expected, found });
        }
        let path: PathBuf = self.path.to_path_buf();
        let image = self.store.take(&path, found, label)?;
        // It has another name now.
        let _ = self.path.keep();
        Ok(image)
    }
}
