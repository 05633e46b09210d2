//! Where the probes of one doctor work: a folder of its own, so that any number of them are nothing to each other.
//!
//! ```text
//! <base>/           0700   locked for a moment by whoever looks for what is below, or adds to it
//!   doctor-.../     0700   of one doctor, which holds a lock on it until it ends, however it ends
//! ```
//!
//! One whose lock nobody holds is what a doctor left that was killed.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use sentinal_model::SandboxId;
use tokio::time::{Instant, sleep};

use crate::{
    folder::{FolderError, make},
    limits::{HANDOVER_DEADLINE, HANDOVER_RETRY},
};

/// What their names begin with.
const PREFIX: &str = "doctor-";
/// Those that one doctor clears away, at most; the next one goes on.
const ABANDONED_MAX: usize = 16;

/// A folder that no other doctor uses, until this is dropped.
#[derive(Debug)]
pub(super) struct Workplace {
    base: PathBuf,
    path: PathBuf,
    _held: File,
}

impl Workplace {
    /// Makes a fresh one, and takes over those that were left by doctors which are dead.
    pub(super) async fn take(base: &Path) -> Result<(Self, Vec<Self>), FolderError> {
        let _alone = alone(base).await?;
        let abandoned = abandoned(base);
        // An id is as good as any other name that nobody else comes upon.
        let name = SandboxId::generate().to_string().replace("sbx_", PREFIX);
        let path = base.join(name);
        make(&path, 0o700)?;
        let held = held(&path).ok_or_else(|| FolderError::InUse { path: path.clone() })?;
        Ok((Self { base: base.to_owned(), path, _held: held }, abandoned))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, which is no other's.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Removes it with all that is in it; of the last one also what held it.
    pub(super) async fn remove(self) {
        // What cannot be removed now is found by the next doctor, which knows by the lock that nobody uses it.
        let _ = fs::remove_dir_all(&self.path);
        let Ok(_alone) = alone(&self.base).await else { return };
        let _ = fs::remove_dir(&self.base);
    }
}

/// The base, made if missing; nobody else has it until the answer is dropped.
async fn alone(base: &Path) -> Result<File, FolderError> {
    let asked = Instant::now();
    loop {
        make(base, 0o700)?;
        if let Some(lock) = held(base) {
            return Ok(lock);
        }
        if HANDOVER_DEADLINE <= asked.elapsed() {
            return Err(FolderError::InUse { path: base.to_owned() });
        }
        sleep(HANDOVER_RETRY).await;
    }
}

fn abandoned(base: &Path) -> Vec<Workplace> {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    let left = ours
        .map(|entry| entry.path())
        .filter_map(|path| Some(Workplace { base: base.to_owned(), _held: held(&path)?, path }));
    left.take(ABANDONED_MAX).collect()
}

/// A lock on a folder that nobody else has, and that is still there.
fn held(path: &Path) -> Option<File> {
    let folder = File::open(path).ok()?;
    match folder.try_lock() {
        Ok(()) => is_still(&folder, path).unwrap_or(false).then_some(folder),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}

/// Whoever had the lock before may have removed the folder, and another made a new one.
fn is_still(folder: &File, path: &Path) -> io::Result<bool> {
    let (held, named) = (folder.metadata()?, fs::symlink_metadata(path)?);
    Ok((held.dev(), held.ino()) == (named.dev(), named.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_doctor_has_its_own_and_the_last_one_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let base = place.path().join("doctors");
        let (first, none) = Workplace::take(&base).await.unwrap();
        assert!(none.is_empty());
        let (second, none) = Workplace::take(&base).await.unwrap();
        assert!(none.is_empty(), "what somebody uses is not abandoned");
        assert_ne!(first.path(), second.path());
        fs::write(first.path().join("file"), "").unwrap();
        first.remove().await;
        assert!(second.path().is_dir());
        second.remove().await;
        assert!(!base.exists());
    }

    #[tokio::test]
    async fn what_a_dead_doctor_left_is_taken_over_by_one() {
        let place = tempfile::tempdir().unwrap();
        let base = place.path().join("doctors");
        let (dead, _) = Workplace::take(&base).await.unwrap();
        let path = dead.path().to_owned();
        drop(dead);
        let (second, abandoned) = Workplace::take(&base).await.unwrap();
        assert_eq!(abandoned.iter().map(Workplace::path).collect::<Vec<_>>(), [path]);
        let (third, none) = Workplace::take(&base).await.unwrap();
        assert!(none.is_empty(), "it is the second one's");
        for workplace in abandoned.into_iter().chain([second, third]) {
            workplace.remove().await;
        }
        assert!(!base.exists());
    }

    #[tokio::test]
    async fn a_base_that_is_somebody_elses_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let base = place.path().join("doctors");
        std::os::unix::fs::symlink(place.path(), &base).unwrap();
        Workplace::take(&base).await.unwrap_err();
    }
}
