//! What one sandbox writes: a file system of its own in a sparse file, so that it is bounded and goes at once.
//!
//! The mount frees the loop device by itself when it ends (`LO_FLAGS_AUTOCLEAR`), and freed blocks are
//! punched out of the file.

mod template;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::mount::{UnmountFlags, unmount};
use tokio_util::sync::CancellationToken;

use crate::{EngineError, child::Child, mounts};
use template::Template;

pub use template::Templates;

/// How long making or mounting the file system may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// Inodes of a file system that holds a few large files of ours.
const INODES_FEW: &str = "64";

/// How often a layer that is mounted while it is removed is unmounted again.
const ATTEMPTS_MAX: u32 = 5;

/// How many files the layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Inodes {
    /// The engine keeps the sandbox's files in a few large ones.
    Few,
    /// Each file of the sandbox is a file on the layer; as many as are usual for its size.
    ForSize,
}

/// The layer of one instance, whether it exists or not.
#[derive(Debug, Clone)]
pub struct Layer {
    image: PathBuf,
    point: PathBuf,
}

impl Layer {
    /// The layer that lives in `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        Self { image: folder.join("layer.ext4"), point: folder.join("layer") }
    }

    /// The file that holds it.
    pub fn file(&self) -> &Path {
        &self.image
    }

    /// Where it is mounted.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// Makes and mounts it. What an earlier attempt left must have been removed.
    pub async fn create(
        &self,
        size_bytes: u64,
        inodes: Inodes,
        templates: &Templates,
        stop: &CancellationToken,
    ) -> Result<(), EngineError> {
        fs::create_dir(&self.point).map_err(|source| self.failed("make the mount point of", source))?;
        self.make(size_bytes, inodes, templates, stop).await?;
        let options = "loop,discard,noatime,nosuid,nodev,noinit_itable,nobarrier";
        let mount = Child::new("mount", DEADLINE).args(["-t", "ext4", "-o", options]);
        mount.args([&self.image, &self.point]).finish(stop).await.map(drop)
    }

    /// Makes it without mounting it.
    pub async fn make(
        &self,
        size_bytes: u64,
        inodes: Inodes,
        templates: &Templates,
        stop: &CancellationToken,
    ) -> Result<(), EngineError> {
        let template = templates.get(size_bytes, inodes);
        self.make_file(size_bytes, template.as_deref()).map_err(|source| self.failed("make", source))?;
        if template.is_none() {
            self.make_file_system(inodes, stop).await?;
            templates.remember(size_bytes, inodes, &self.image);
        }
        Ok(())
    }

    /// Bytes that are written and kept; zero when it is not mounted.
    pub fn used_bytes(&self) -> u64 {
        if !self.is_mounted() {
            return 0;
        }
        let Ok(found) = rustix::fs::statvfs(&self.point) else { return 0 };
        found.f_blocks.saturating_sub(found.f_bfree).saturating_mul(found.f_frsize)
    }

    /// Unmounts it, though processes may still have it open, and removes it. Succeeds when there is nothing.
    /// Takes milliseconds: not for an async thread.
    pub fn remove(&self) -> Result<(), EngineError> {
        let failed = |path: &Path, source| EngineError::Io { what: format!("remove {}", path.display()), source };
        for attempt in 1.. {
            let mounted = mounts::beneath(&self.point).map_err(|source| failed(&self.point, source))?;
            for mount in mounted {
                unmount(&mount.point, UnmountFlags::DETACH).map_err(|error| failed(&mount.point, error.into()))?;
            }
            match gone(fs::remove_dir(&self.point)) {
                Ok(()) => break,
                // The child of a killed engine mounted it this instant. Without the folder none can.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy && attempt < ATTEMPTS_MAX => {}
                Err(source) => return Err(failed(&self.point, source)),
            }
        }
        gone(fs::remove_file(&self.image)).map_err(|source| failed(&self.image, source))
    }

    fn make_file(&self, size_bytes: u64, template: Option<&Template>) -> io::Result<()> {
        let image = File::create_new(&self.image)?;
        image.set_len(size_bytes)?;
        template.map_or(Ok(()), |template| template.write(&image))
    }

    /// Without a journal: nobody reads it after a crash. Nothing is zeroed: the file is a hole.
    async fn make_file_system(&self, inodes: Inodes, stop: &CancellationToken) -> Result<(), EngineError> {
        let options = ["-q", "-F", "-O", "^has_journal,^resize_inode", "-m", "0", "-E", "lazy_itable_init=1,nodiscard"];
        let make = Child::new("mkfs.ext4", DEADLINE).args(options);
        let make = match inodes {
            Inodes::Few => make.args(["-N", INODES_FEW]),
            Inodes::ForSize => make,
        };
        make.args([&self.image]).finish(stop).await.map(drop)
    }

    fn failed(&self, verb: &str, source: io::Error) -> EngineError {
        if source.kind() == io::ErrorKind::StorageFull {
            return EngineError::NoSpace { what: "the sandbox's disk".to_owned() };
        }
        EngineError::Io { what: format!("{verb} {}", self.image.display()), source }
    }

    fn is_mounted(&self) -> bool {
        mounts::beneath(&self.point).is_ok_and(|mounts| !mounts.is_empty())
    }
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_layer_is_bounded_and_leaves_nothing() {
        if !rustix::process::geteuid().is_root() {
            return println!("skipped: not root");
        }
        let folder = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let templates = Templates::default();
        for inodes in [Inodes::Few, Inodes::ForSize, Inodes::Few] {
            let layer = Layer::in_folder(folder.path());
            layer.create(16 << 20, inodes, &templates, &stop).await.unwrap();
            let empty = layer.used_bytes();
            assert!(empty < 1 << 20, "{empty}");
            let file = layer.point().join("file");
            let error = fs::write(&file, vec![1; 16 << 20]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(12 << 20 < layer.used_bytes(), "{}", layer.used_bytes());
            fs::remove_file(&file).unwrap();
            assert_eq!(layer.used_bytes(), empty);
            // Held open by somebody: it goes all the same.
            let _held = File::create(&file).unwrap();
            layer.remove().unwrap();
            layer.remove().unwrap();
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
            assert_eq!(mounts::beneath(folder.path()).unwrap(), []);
        }
    }
}
