//! The agent's binary on this host, and which build of it that is.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use sentinal_image::Digest;

/// A file that may be replaced while the node runs.
#[derive(Debug)]
pub(crate) struct AgentFile {
    path: PathBuf,
    read: Mutex<Option<(Stamp, String)>>,
}

/// What changes when a file is replaced or written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl AgentFile {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, read: Mutex::new(None) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the file contains, `sha256:` and 64 digits; empty while it cannot be read. Blocks, and reads the file
    /// only when it is another one than before.
    pub(crate) fn digest(&self) -> String {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.stamp();
        match &*read {
            Some((before, digest)) if Some(*before) == stamp => digest.clone(),
            Some(_) | None => {
                *read = stamp.and_then(|stamp| Some((stamp, self.measured()?)));
                read.as_ref().map(|(_, digest)| digest.clone()).unwrap_or_default()
            }
        }
    }

    fn stamp(&self) -> Option<Stamp> {
        let found = std::fs::metadata(&self.path).ok()?;
        let changed = (found.ctime(), found.ctime_nsec());
        Some(Stamp { device: found.dev(), inode: found.ino(), size: found.size(), changed })
    }

    fn measured(&self) -> Option<String> {
        let measured = Digest::of_file(&self.path);
        let told = measured.inspect_err(|error| tracing::error!(?error, "agent cannot be read"));
        told.ok().map(|digest| digest.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn another_agent_in_the_same_place_is_another_digest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent");
        fs::write(&path, "first").unwrap();
        let agent = AgentFile::new(path.clone());
        let first = agent.digest();
        assert!(first.starts_with("sha256:") && first == agent.digest(), "{first}");
        fs::write(folder.path().join("new"), "other").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        let second = agent.digest();
        assert_ne!(first, second);
        fs::remove_file(&path).unwrap();
        assert_eq!(agent.digest(), "");
    }
}
