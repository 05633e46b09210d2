//! One build at a time: a lock on a file in the store, waited for with a deadline.
//!
//! The kernel drops the lock with the process that holds it, so a crashed build blocks nobody.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use tokio::time::{Instant, sleep};

use crate::ImageError;

const RETRY: Duration = Duration::from_millis(100);

/// The right to build in a store, until dropped.
#[derive(Debug)]
pub(crate) struct BuildLock {
    _file: File,
}

impl BuildLock {
    /// Waits for the lock of the store in `root` for at most `wait`.
    pub(crate) async fn acquire(root: &Path, wait: Duration) -> Result<Self, ImageError> {
        let path = root.join(".lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(ImageError::io("open", &path))?;
        let deadline = Instant::now() + wait;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => sleep(RETRY).await,
                Err(Errno::WOULDBLOCK) => return Err(ImageError::Busy { path: root.to_owned(), waited: wait }),
                Err(error) => return Err(ImageError::io("lock", &path)(error.into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn a_second_build_waits_and_then_gives_up() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let first = BuildLock::acquire(folder.path(), Duration::ZERO).await.unwrap();
            let second = BuildLock::acquire(folder.path(), Duration::from_millis(150)).await;
            assert!(matches!(second, Err(ImageError::Busy { .. })));
            let waiting = BuildLock::acquire(folder.path(), Duration::from_secs(20));
            let release = async move { drop(first) };
            let (third, ()) = tokio::join!(waiting, release);
            third.unwrap();
        });
    }
}
