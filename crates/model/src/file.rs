//! Files in a sandbox: which one is meant, what is to be done with it, and what it is.

use crate::{GuestPath, Millis};

/// A file, as somebody in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAt {
    /// Where.
    pub path: GuestPath,
    /// As whom; `None` is the ordinary user.
    pub user: Option<String>,
}

/// A file that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWrite {
    /// Which.
    pub at: FileAt,
    /// Permission bits, if not the usual ones.
    pub mode: Option<u32>,
    /// Whether missing folders on the way are made.
    pub make_parents: bool,
    /// Whether the bytes go after what is there, or take its place.
    pub place: WritePlace,
}

/// Where in a file bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WritePlace {
    /// They are the whole file.
    Whole,
    /// After its end.
    End,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileWritten {
    /// How many bytes were written.
    pub bytes: u64,
    /// How many the file has.
    pub size: u64,
}

/// A folder that is to be read as an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveRead {
    /// Which.
    pub at: FileAt,
}

/// An archive that is to be unpacked into a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveWrite {
    /// Into which.
    pub at: FileAt,
    /// Whether it and those on the way are made.
    pub make_parents: bool,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveWritten {
    /// Files, folders and links.
    pub entries: u64,
    /// In all files together.
    pub bytes: u64,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From this byte to the end.
    From(u64),
    /// From the first byte to the last, both included.
    Within(u64, u64),
    /// So many bytes at the end.
    Last(u64),
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLook {
    /// Which file.
    pub at: FileAt,
    /// What a symbolic link leads to, rather than the link.
    pub follow: bool,
}

/// Which entries of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderList {
    /// Which folder.
    pub at: FileAt,
    /// 1 is what is in it, 2 what is in its folders, and so on.
    pub depth: u32,
    /// After this path within the folder; empty is from the beginning.
    pub after: Vec<u8>,
    /// At most so many.
    pub entries_max: u32,
}

/// A folder that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFolder {
    /// Where.
    pub at: FileAt,
    /// Whether missing folders on the way are made; then it may be there already.
    pub make_parents: bool,
    /// Permission bits, if not the usual ones.
    pub mode: Option<u32>,
}

/// A file or folder that gets another path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMove {
    /// What.
    pub from: FileAt,
    /// Its new path.
    pub to: GuestPath,
    /// Whether it takes the place of what is there.
    pub overwrite: bool,
}

/// A file or folder that is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRemoval {
    /// Which.
    pub at: FileAt,
    /// Whether a folder goes with what is in it.
    pub recursive: bool,
}

/// A folder that is to be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderWatch {
    /// Which.
    pub at: FileAt,
    /// The folders in it, too.
    pub recursive: bool,
}

/// Something that has happened in a folder, as the sandbox says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEvent {
    /// What.
    pub change: FileChange,
    /// To what within the folder: any bytes. Empty is the folder itself.
    pub path: Vec<u8>,
    /// Whether that is a folder.
    pub is_folder: bool,
}

/// What may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChange {
    /// It is new, or was written anew as a whole.
    Created,
    /// Its content or what is to be known of it has changed.
    Modified,
    /// It is there no more.
    Removed,
    /// It has another path.
    Moved {
        /// The path it had, within the folder.
        from: Vec<u8>,
    },
    /// Some of what happened was not told.
    Overflow,
}

/// What a file is. All of it is what the sandbox says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// Of which kind.
    pub kind: FileKind,
    /// Its bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Whose.
    pub uid: u32,
    /// Which group's.
    pub gid: u32,
    /// The owner's name, where there is one.
    pub user: Option<String>,
    /// The group's name, where there is one.
    pub group: Option<String>,
    /// When its content changed.
    pub modified: Millis,
    /// Where a symbolic link leads: any bytes.
    pub target: Option<Vec<u8>>,
}

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Bytes.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A block or character device.
    Device,
    /// The user may know its name and nothing else.
    Unknown,
}

/// What is in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderEntry {
    /// Within the folder that was asked for: any bytes.
    pub path: Vec<u8>,
    /// What it is.
    pub stat: FileStat,
    /// A folder whose entries would follow, if the user could read it.
    pub unreadable: bool,
}

/// A part of what is in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderPage {
    /// Sorted part by part of the path, each by its bytes.
    pub entries: Vec<FolderEntry>,
    /// Whether there is more after the last one.
    pub more: bool,
}

impl FileAt {
    /// A file as the ordinary user.
    pub const fn ordinary(path: GuestPath) -> Self {
        Self { path, user: None }
    }
}

impl FileWrite {
    /// A whole file as the ordinary user, with the usual permissions and whatever folders it needs.
    pub const fn ordinary(path: GuestPath) -> Self {
        Self { at: FileAt::ordinary(path), mode: None, make_parents: true, place: WritePlace::Whole }
    }
}

impl ByteRange {
    /// Where it begins in a file of this size and how many bytes it has there; `None` if it has none.
    pub fn within(self, size: u64) -> Option<(u64, u64)> {
        let (first, bytes) = match self {
            Self::From(first) => (first, size.saturating_sub(first)),
            Self::Within(first, last) => (first, size.min(last.saturating_add(1)).saturating_sub(first)),
            Self::Last(bytes) => (size.saturating_sub(bytes), size.min(bytes)),
        };
        (0 < bytes).then_some((first, bytes))
    }
}

impl FileChange {
    /// As callers see it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Modified => "modified",
            Self::Removed => "removed",
            Self::Moved { .. } => "moved",
            Self::Overflow => "overflow",
        }
    }
}

impl FileKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::File, Self::Directory, Self::Symlink, Self::Fifo, Self::Socket, Self::Device, Self::Unknown];

    /// As callers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::Device => "device",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_what_the_file_has_of_it() {
        let check = |range: ByteRange, size, expected| assert_eq!(range.within(size), expected, "{range:?} of {size}");
        check(ByteRange::From(0), 10, Some((0, 10)));
        check(ByteRange::From(9), 10, Some((9, 1)));
        check(ByteRange::From(10), 10, None);
        check(ByteRange::Within(2, 4), 10, Some((2, 3)));
        check(ByteRange::Within(2, u64::MAX), 10, Some((2, 8)));
        check(ByteRange::Within(10, 12), 10, None);
        check(ByteRange::Last(3), 10, Some((7, 3)));
        check(ByteRange::Last(u64::MAX), 10, Some((0, 10)));
        check(ByteRange::Last(0), 10, None);
        check(ByteRange::From(0), 0, None);
        check(ByteRange::Last(1), 0, None);
    }
}
