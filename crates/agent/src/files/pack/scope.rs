//! What an archive is for, and how much it holds for that.

use rustix::fs::{FileType, Stat};
use tonic::Status;

use crate::limits;

/// The folder of the agent and of its socket.
const OWN: &[u8] = b".sentinal";

/// What an archive is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Somebody's files, who owns whatever comes out of them.
    Folder,
    /// An image: whose everything is belongs to it. Not what is mounted, nor what is the agent's own.
    Image,
}

/// How much one archive holds.
#[derive(Debug, Default)]
pub(super) struct Amount {
    entries: u64,
    bytes: u64,
}

impl Scope {
    const fn bounds(self) -> (u64, u64) {
        match self {
            Self::Folder => (limits::ARCHIVE_ENTRIES_MAX, limits::ARCHIVE_BYTES_MAX),
            Self::Image => (limits::IMAGE_ENTRIES_MAX, limits::IMAGE_BYTES_MAX),
        }
    }

    /// Whether what is at this path within the folder is none of its matter.
    pub(super) fn leaves_out(self, path: &[u8]) -> bool {
        self == Self::Image && path == OWN
    }

    pub(super) fn too_large(self, path: &str) -> Status {
        let (entries, bytes) = self.bounds();
        let message =
            format!("{path} has more than one archive holds: {entries} entries and {bytes} bytes; take a part of it");
        Status::resource_exhausted(message)
    }
}

impl Amount {
    /// Adds one, unless it is too much.
    pub(super) fn add(&mut self, stat: &Stat, scope: Scope, path: &str) -> Result<(), Status> {
        self.entries += 1;
        if FileType::from_raw_mode(stat.st_mode).is_file() {
            self.bytes = self.bytes.saturating_add(u64::try_from(stat.st_size).unwrap_or(0));
        }
        let (entries_max, bytes_max) = scope.bounds();
        if entries_max < self.entries || bytes_max < self.bytes { Err(scope.too_large(path)) } else { Ok(()) }
    }
}
