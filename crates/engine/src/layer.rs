//! What one sandbox writes: a file system of its own in a sparse file, so that it is bounded and goes at once.
//!
//! It is made here and mounted by what starts the sandbox, in the sandbox's own mount namespace: nobody else
//! sees it, and with the last process the mount and its loop device are gone. Freed blocks are punched out of
//! the file.

mod template;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{EngineError, child::Child};
use template::Template;

pub use template::Templates;

/// How long making the file system may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// Inodes of a file system that holds a few large files of ours.
const INODES_FEW: &str = "64";

/// What `st_blocks` counts in, whatever the file system (stat(2)).
const BLOCK_BYTES: u64 = 512;

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
    file: PathBuf,
}

impl Layer {
    /// The layer that lives in `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        Self { file: folder.join("layer.ext4") }
    }

    /// The file that holds it.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Makes it. What an earlier attempt left must have been removed.
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
            templates.remember(size_bytes, inodes, &self.file);
        }
        Ok(())
    }

    /// What it takes of the host's disk, in bytes; zero when it is not there.
    pub fn disk_bytes(&self) -> u64 {
        fs::metadata(&self.file).map_or(0, |file| file.blocks().saturating_mul(BLOCK_BYTES))
    }

    fn make_file(&self, size_bytes: u64, template: Option<&Template>) -> io::Result<()> {
        let image = File::create_new(&self.file)?;
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
        make.args([&self.file]).finish(stop).await.map(drop)
    }

    fn failed(&self, verb: &str, source: io::Error) -> EngineError {
        if source.kind() == io::ErrorKind::StorageFull {
            return EngineError::NoSpace { what: "the sandbox's disk".to_owned() };
        }
        EngineError::Io { what: format!("{verb} {}", self.file.display()), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_layer_is_bounded_and_takes_what_is_written() {
        if !rustix::process::geteuid().is_root() {
            return println!("skipped: not root");
        }
        let folder = tempfile::tempdir().unwrap();
        let (point, stop) = (folder.path().join("point"), CancellationToken::new());
        fs::create_dir(&point).unwrap();
        let templates = Templates::default();
        for inodes in [Inodes::Few, Inodes::ForSize, Inodes::Few] {
            let layer = Layer::in_folder(folder.path());
            layer.make(16 << 20, inodes, &templates, &stop).await.unwrap();
            let empty = layer.disk_bytes();
            assert!(empty < 1 << 20, "{empty}");
            let mount = Child::new("mount", DEADLINE).args(["-o", "loop"]).args([layer.file(), &point]);
            mount.finish(&stop).await.unwrap();
            let error = fs::write(point.join("file"), vec![1; 16 << 20]).unwrap_err();
            let unmount = Child::new("umount", DEADLINE).args([&point]);
            unmount.finish(&stop).await.unwrap();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(12 << 20 < layer.disk_bytes(), "{}", layer.disk_bytes());
            fs::remove_file(layer.file()).unwrap();
        }
    }
}
