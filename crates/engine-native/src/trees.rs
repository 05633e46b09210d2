//! Images as folders, for nodes that are not root and cannot mount an image's file.
//!
//! ```text
//! <engine folder>/images/          0700: files in there may be setuid
//!   sha256-.../root/               named after the image's file, which is named after its content
//!   unpacking-<id>/root/           one under way, or what a crash left of it
//! ```
//!
//! Only a rename puts a folder in its place, so one that is there is whole. Where sandboxes have users of their own, the
//! files in `root` are theirs.

use std::{
    fs::{self, DirBuilder, Permissions},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use sentinal_engine::{EngineError, child::Child};
use sentinal_launcher::{Chore, Task, Users};
use sentinal_model::SandboxId;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{Launcher, Privilege};

/// How long unpacking may take, within the deadline of the boot that waits for it; the default image takes a second.
const DEADLINE: Duration = Duration::from_secs(20);
const UNDER_WAY: &str = "unpacking-";
const ROOT: &str = "root";

/// The images unpacked by one node.
#[derive(Debug)]
pub(crate) struct Trees {
    folder: PathBuf,
    launcher: Launcher,
    users: Users,
    /// One at a time, so that what is under way is not taken for what a crash left.
    alone: Mutex<()>,
}

impl Trees {
    pub(crate) fn new(engine: &Path, launcher: Launcher, privilege: Privilege) -> Self {
        let users = match privilege {
            Privilege::Unprivileged(users) => users,
            // Never asked for anything.
            Privilege::Root => Users::One,
        };
        Self { folder: engine.join("images"), launcher, users, alone: Mutex::new(()) }
    }

    /// The root of an image, unpacked the first time.
    pub(crate) async fn of(&self, image: &Path, stop: &CancellationToken) -> Result<PathBuf, EngineError> {
        let name =
            image.file_stem().ok_or_else(|| EngineError::io("name", image)(ErrorKind::InvalidFilename.into()))?;
        let tree = self.folder.join(name);
        let _alone = self.alone.lock().await;
        if !tree.is_dir() {
            let fresh = self.folder.join(format!("{UNDER_WAY}{}", SandboxId::generate()));
            self.unpack(image, &fresh, stop).await?;
            fs::rename(&fresh, &tree).map_err(EngineError::io("name", &tree))?;
        }
        Ok(tree.join(ROOT))
    }

    /// Makes `tree` of an image and answers its root.
    pub(crate) async fn unpack(
        &self,
        image: &Path,
        tree: &Path,
        stop: &CancellationToken,
    ) -> Result<PathBuf, EngineError> {
        DirBuilder::new().recursive(true).mode(0o700).create(tree).map_err(EngineError::io("make", tree))?;
        let mode =
            |mode| fs::set_permissions(tree, Permissions::from_mode(mode)).map_err(EngineError::io("open", tree));
        match self.users {
            Users::One => {
                let mut extract = std::ffi::OsString::from("--extract=");
                extract.push(tree.join(ROOT));
                let arguments = ["--preserve-perms".into(), "--no-preserve-owner".into(), extract, image.into()];
                Child::new("fsck.erofs", DEADLINE).args(arguments).finish(stop).await?;
            }
            Users::Range { .. } => {
                // Nobody else passes the folder above.
                mode(0o777)?;
                let arguments = ["--preserve", "--extract=root", "/proc/self/fd/0"];
                self.as_users(tree, Some(image), ("fsck.erofs", &arguments), stop).await?;
                mode(0o700)?;
            }
        }
        Ok(tree.join(ROOT))
    }

    /// Removes what was never finished. Waits for nobody: who unpacks now does it before or after.
    pub(crate) async fn tidy(&self) {
        let Ok(_alone) = self.alone.try_lock() else { return };
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNDER_WAY)) {
            let tree = entry.path();
            if self.users != Users::One {
                let _ = self.as_users(&tree, None, ("rm", &["-rf", ROOT]), &CancellationToken::new()).await;
            }
            // Not an error: a program that outlived its node may still be writing there. It is tried again.
            let _ = fs::remove_dir_all(tree);
        }
    }

    async fn as_users(
        &self,
        folder: &Path,
        input: Option<&Path>,
        line: (&str, &[&str]),
        stop: &CancellationToken,
    ) -> Result<(), EngineError> {
        let chore = Chore {
            users: self.users,
            folder: folder.to_owned(),
            input: input.map(Path::to_owned),
            program: line.0.to_owned(),
            arguments: line.1.iter().map(|&argument| argument.to_owned()).collect(),
        };
        self.launcher.run(&Task::Run(chore), DEADLINE, stop).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the probe.
    const EMPTY: &[u8] = include_bytes!("probe/empty.erofs");

    fn trees(place: &Path) -> Trees {
        let launcher = Launcher { program: "/nowhere".into(), arguments: Vec::new() };
        Trees::new(place, launcher, Privilege::Unprivileged(Users::One))
    }

    #[tokio::test]
    async fn an_image_is_unpacked_once_and_what_was_not_finished_is_removed() {
        if Child::new("fsck.erofs", DEADLINE).args(["-V"]).finish(&CancellationToken::new()).await.is_err() {
            return println!("SKIPPED: fsck.erofs is not installed");
        }
        let place = tempfile::tempdir().unwrap();
        let (trees, stop) = (trees(place.path()), CancellationToken::new());
        let image = place.path().join("sha256-1.erofs");
        fs::write(&image, EMPTY).unwrap();
        let root = trees.of(&image, &stop).await.unwrap();
        assert_eq!(root, place.path().join("images/sha256-1/root"));
        fs::write(root.join("mark"), "").unwrap();
        fs::create_dir_all(place.path().join("images/unpacking-x/root/etc")).unwrap();
        trees.tidy().await;
        assert_eq!(trees.of(&image, &stop).await.unwrap(), root);
        assert!(root.join("mark").exists() && !place.path().join("images/unpacking-x").exists());
        let mode = fs::metadata(place.path().join("images")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "what is setuid in there is nobody else's to run");
    }

    #[tokio::test]
    async fn what_is_no_image_leaves_nothing_that_looks_like_one() {
        let place = tempfile::tempdir().unwrap();
        let trees = trees(place.path());
        let image = place.path().join("sha256-2.erofs");
        fs::write(&image, "no file system").unwrap();
        trees.of(&image, &CancellationToken::new()).await.unwrap_err();
        assert!(!place.path().join("images/sha256-2").exists());
        trees.tidy().await;
        assert_eq!(fs::read_dir(place.path().join("images")).unwrap().count(), 0);
    }
}
