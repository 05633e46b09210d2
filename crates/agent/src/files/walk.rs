//! Walks what is below an open folder: name after name in the order of their bytes, through no link, in bounded
//! space and time, whatever somebody has put there.
//!
//! Of a folder only the smallest names are held, as many as there is room for. Where names were left out, the walk
//! ends in front of the first of them and says so.

use std::{
    collections::{BinaryHeap, VecDeque},
    ffi::{CStr, CString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Instant,
};

use rustix::{
    fs::{Dir, Mode, OFlags},
    io::Errno,
};

use crate::limits;

/// What a name takes beside its bytes.
const NAME_OVERHEAD_BYTES: usize = 32;
/// How many names are read between two looks at the clock.
const NAMES_PER_LOOK: usize = 1024;

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// 1: what is in the folder itself.
    pub(super) depth: usize,
    /// Names held of one folder.
    pub(super) names: usize,
    pub(super) deadline: Instant,
}

/// Why a walk does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// What follows was left out for want of room.
    Cut,
    /// The deadline has passed.
    Late,
    /// A folder cannot be read.
    Refused(Errno),
}

/// A walk under way.
pub(super) struct Walk {
    bounds: Bounds,
    levels: Vec<Level>,
    /// Of the folder of the last level, within the first; with a slash at its end.
    path: Vec<u8>,
    /// The parts of what was told before, from the last level on.
    after: VecDeque<Vec<u8>>,
    names_bytes_left: usize,
}

struct Level {
    folder: OwnedFd,
    names: std::vec::IntoIter<CString>,
    names_bytes: usize,
    is_cut: bool,
    /// How long the path was before it.
    path_bytes: usize,
}

impl Walk {
    /// Begins behind `after`, a path within the folder; with the first name if it is empty.
    pub(super) fn begin(top: OwnedFd, bounds: Bounds, after: &[u8]) -> Result<Self, Stop> {
        let parts = after.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        let after = parts.map(<[u8]>::to_vec).collect();
        let names_bytes_left = limits::WALK_NAMES_BYTES_MAX;
        let mut walk = Self { bounds, levels: Vec::new(), path: Vec::new(), after, names_bytes_left };
        walk.push(top, 0)?;
        Ok(walk)
    }

    /// The next name; what it is in is [`Self::folder`]. After a folder comes what is in it, if it was entered.
    pub(super) fn next(&mut self) -> Result<Option<CString>, Stop> {
        while let Some(level) = self.levels.last_mut() {
            if self.bounds.deadline < Instant::now() {
                return Err(Stop::Late);
            }
            let Some(name) = level.names.next() else {
                if level.is_cut {
                    return Err(Stop::Cut);
                }
                self.leave();
                continue;
            };
            let was_told = self.after.pop_front().is_some_and(|told| told == name.as_bytes());
            if !was_told {
                self.after.clear();
                return Ok(Some(name));
            }
            if !self.may_enter() || self.enter(&name).is_err() {
                self.after.clear();
            }
        }
        Ok(None)
    }

    /// What holds the name that came last.
    pub(super) fn folder(&self) -> Option<BorrowedFd<'_>> {
        self.levels.last().map(|level| level.folder.as_fd())
    }

    /// The path of a name in this folder, within the first.
    pub(super) fn path_of(&self, name: &CStr) -> Vec<u8> {
        [&self.path, name.to_bytes()].concat()
    }

    /// Whether what is in a folder that came last is within the bounds.
    pub(super) fn may_enter(&self) -> bool {
        self.levels.len() < self.bounds.depth
    }

    /// Goes on in the folder that came last.
    pub(super) fn enter(&mut self, name: &CStr) -> Result<(), Stop> {
        let Some(level) = self.levels.last() else { return Ok(()) };
        let folder = open_folder(&level.folder, name).map_err(Stop::Refused)?;
        let path_bytes = self.path.len();
        self.push(folder, path_bytes)?;
        self.path.extend_from_slice(name.to_bytes());
        self.path.push(b'/');
        Ok(())
    }

    fn push(&mut self, folder: OwnedFd, path_bytes: usize) -> Result<(), Stop> {
        let mut smallest = Smallest::new(self.bounds.names, self.names_bytes_left);
        let first = self.after.front().map(Vec::as_slice).unwrap_or_default();
        for (count, entry) in Dir::read_from(&folder).map_err(Stop::Refused)?.enumerate() {
            if count % NAMES_PER_LOOK == 0 && self.bounds.deadline < Instant::now() {
                return Err(Stop::Late);
            }
            let entry = entry.map_err(Stop::Refused)?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") && first <= name.to_bytes() {
                smallest.add(name);
            }
        }
        let (names_bytes, is_cut) = (smallest.bytes, smallest.is_cut);
        self.names_bytes_left = self.names_bytes_left.saturating_sub(names_bytes);
        let names = smallest.heap.into_sorted_vec().into_iter();
        self.levels.push(Level { folder, names, names_bytes, is_cut, path_bytes });
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(level) = self.levels.pop() {
            self.names_bytes_left += level.names_bytes;
            self.path.truncate(level.path_bytes);
        }
    }
}

/// A folder in another one, never through a link.
pub(super) fn open_folder(folder: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

/// The smallest of many names.
struct Smallest {
    heap: BinaryHeap<CString>,
    names_max: usize,
    bytes_max: usize,
    bytes: usize,
    is_cut: bool,
}

impl Smallest {
    fn new(names_max: usize, bytes_max: usize) -> Self {
        Self { heap: BinaryHeap::new(), names_max, bytes_max, bytes: 0, is_cut: false }
    }

    /// At least one name is kept, whatever its size: or no walk would ever get anywhere.
    fn add(&mut self, name: &CStr) {
        if self.is_cut && self.heap.peek().is_some_and(|largest| largest.as_c_str() <= name) {
            return;
        }
        self.bytes += size(name);
        self.heap.push(name.to_owned());
        while 1 < self.heap.len() && (self.names_max < self.heap.len() || self.bytes_max < self.bytes) {
            self.is_cut = true;
            self.bytes -= self.heap.pop().map_or(0, |largest| size(&largest));
        }
    }
}

const fn size(name: &CStr) -> usize {
    name.count_bytes() + NAME_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use rustix::fs::CWD;

    use super::*;

    fn names(top: &Path, bounds: Bounds, after: &[u8]) -> (Vec<String>, bool) {
        let folder = rustix::fs::openat(CWD, top, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let mut walk = Walk::begin(folder, bounds, after).unwrap();
        let mut found = Vec::new();
        loop {
            match walk.next() {
                Ok(Some(name)) => {
                    found.push(String::from_utf8(walk.path_of(&name)).unwrap());
                    if walk.may_enter() {
                        // Files and links are none.
                        let _ = walk.enter(&name);
                    }
                }
                Ok(None) => return (found, false),
                Err(Stop::Cut) => return (found, true),
                Err(stop) => panic!("{stop:?}"),
            }
        }
    }

    fn tree() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        for folder in ["a/b", "a.d", "c"] {
            fs::create_dir_all(top.path().join(folder)).unwrap();
        }
        for file in ["a/b/1", "a/b/2", "a/x", "a.d/y", "z"] {
            fs::write(top.path().join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("..", top.path().join("c/up")).unwrap();
        top
    }

    const ALL: [&str; 10] = ["a", "a/b", "a/b/1", "a/b/2", "a/x", "a.d", "a.d/y", "c", "c/up", "z"];

    fn bounds(depth: usize, names: usize) -> Bounds {
        Bounds { depth, names, deadline: Instant::now() + Duration::from_secs(60) }
    }

    #[test]
    fn everything_comes_in_order_and_no_link_is_followed() {
        let top = tree();
        assert_eq!(names(top.path(), bounds(9, 99), b"").0, ALL);
        assert_eq!(names(top.path(), bounds(1, 99), b"").0, ["a", "a.d", "c", "z"]);
    }

    #[test]
    fn a_walk_goes_on_behind_what_was_told() {
        let top = tree();
        for (at, told) in ALL.iter().enumerate() {
            assert_eq!(names(top.path(), bounds(9, 99), told.as_bytes()).0, ALL[at + 1..], "{told}");
        }
        // What was told may be gone, and be anything.
        assert_eq!(names(top.path(), bounds(9, 99), b"a/b/1/gone/b").0, ALL[3..]);
        assert_eq!(names(top.path(), bounds(9, 99), b"a/c").0, ALL[4..]);
        assert_eq!(names(top.path(), bounds(9, 99), b"b/../../..").0, ALL[7..]);
        assert_eq!(names(top.path(), bounds(9, 99), b"zz").0, [""; 0]);
    }

    #[test]
    fn what_has_no_room_is_left_out_and_said() {
        let top = tree();
        assert_eq!(names(top.path(), bounds(1, 2), b""), (vec!["a".to_owned(), "a.d".to_owned()], true));
        assert_eq!(names(top.path(), bounds(1, 2), b"a.d"), (vec!["c".to_owned()], true));
    }

    #[test]
    fn the_smallest_names_stay() {
        let mut smallest = Smallest::new(3, 1000);
        for name in [c"e", c"b", c"d", c"a", c"c"] {
            smallest.add(name);
        }
        assert_eq!(smallest.heap.into_sorted_vec(), [c"a", c"b", c"c"].map(CStr::to_owned));
        let mut smallest = Smallest::new(9, 1);
        smallest.add(c"b");
        smallest.add(c"a");
        assert_eq!((smallest.heap.into_sorted_vec(), smallest.is_cut), (vec![c"a".to_owned()], true));
    }
}
