//! Images as folders, for nodes that are not root and cannot mount an image's file.
//!
//! ```text
//! <engine folder>/images/          0700: files in there may be setuid
//!   sha256-.../                    named after the image's file, which is named after its content
//!   unpacking-<random>/            one under way, or what a crash left of it
//! ```
//!
//! Only a rename puts a folder in its place, so one that is there is whole.

use std::{
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use sentinal_engine::{EngineError, child::Child};
use sentinal_model::SandboxId;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::folder::failed;

/// How long unpacking may take, within the deadline of the boot that waits for it; the default image takes a second.
const DEADLINE: Duration = Duration::from_secs(20);
const UNDER_WAY: &str = "unpacking-";

/// The images unpacked by one node.
#[derive(Debug)]
pub(crate) struct Trees {
    folder: PathBuf,
    /// One at a time, so that what is under way is not taken for what a crash left.
    alone: Mutex<()>,
}

impl Trees {
    pub(crate) fn new(engine: &Path) -> Self {
        Self { folder: engine.join("images"), alone: Mutex::new(()) }
    }

    /// The folder of an image, unpacked the first time.
    pub(crate) async fn of(&self, image: &Path, stop: &CancellationToken) -> Result<PathBuf, EngineError> {
        let name = image.file_stem().ok_or_else(|| failed("name", image)(ErrorKind::InvalidFilename.into()))?;
        let tree = self.folder.join(name);
        let _alone = self.alone.lock().await;
        if tree.is_dir() {
            return Ok(tree);
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed("make", &self.folder))?;
        let fresh = self.folder.join(format!("{UNDER_WAY}{}", SandboxId::generate()));
        unpack(image, &fresh, stop).await?;
        fs::rename(&fresh, &tree).map_err(failed("name", &tree))?;
        Ok(tree)
    }

    /// Removes what was never finished. Waits for nobody: who unpacks now does it before or after.
    pub(crate) fn tidy(&self) {
        let Ok(_alone) = self.alone.try_lock() else { return };
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNDER_WAY)) {
            // Not an error: a program that outlived its node may still be writing there. It is tried again.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Makes `tree` of an image. Everything in it is this process's user's; modes are the image's.
pub(crate) async fn unpack(image: &Path, tree: &Path, stop: &CancellationToken) -> Result<(), EngineError> {
    let mut extract = std::ffi::OsString::from("--extract=");
    extract.push(tree);
    let options = ["--preserve-perms".into(), "--no-preserve-owner".into(), extract, image.into()];
    Child::new("fsck.erofs", DEADLINE).args(options).finish(stop).await.map(drop)
}
