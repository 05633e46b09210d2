//! The kernel's side of a watch.

use std::{
    ffi::CStr,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{
        Access, AtFlags, CWD, FileType,
        inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    },
    io::Errno,
};

/// What is read of the kernel's queue at once.
const READ_BYTES: usize = 16 * 1024;

/// An inotify, the user's own: it counts for their limits.
pub(super) struct Kernel {
    inotify: OwnedFd,
    buffer: Box<[MaybeUninit<u8>]>,
    events: std::vec::IntoIter<Event>,
}

/// Something that has happened in a watched folder, or to it.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) watch: i32,
    pub(super) what: ReadFlags,
    /// The same for both halves of a move.
    pub(super) cookie: u32,
    /// Empty: the folder itself.
    pub(super) name: Vec<u8>,
}

/// Which folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// That which was asked for, through whatever links lead there; and what happens to itself.
    First,
    /// One in it, never through a link.
    Within,
}

impl Kernel {
    pub(super) fn begin() -> Result<Self, Errno> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let buffer = vec![MaybeUninit::uninit(); READ_BYTES].into_boxed_slice();
        Ok(Self { inotify, buffer, events: Vec::new().into_iter() })
    }

    /// Watches a folder that the user may read; not every kernel makes sure of that, nor follows no link where it is to
    /// look for a folder.
    pub(super) fn add(&self, path: &CStr, which: Which) -> Result<i32, Errno> {
        let mut what = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::EXCL_UNLINK;
        let (more, link) = match which {
            Which::First => (WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF, AtFlags::empty()),
            Which::Within => (WatchFlags::DONT_FOLLOW, AtFlags::SYMLINK_NOFOLLOW),
        };
        what |= more;
        if !FileType::from_raw_mode(rustix::fs::statat(CWD, path, link)?.st_mode).is_dir() {
            return Err(Errno::NOTDIR);
        }
        rustix::fs::accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS | link)?;
        inotify::add_watch(&self.inotify, path, what)
    }

    /// Of a folder that is gone there is none any more.
    pub(super) fn remove(&self, watch: i32) {
        let _ = inotify::remove_watch(&self.inotify, watch);
    }

    /// Whether something was read that is to be looked at.
    pub(super) fn has_read(&self) -> bool {
        !self.events.as_slice().is_empty()
    }

    /// `None`: no more, for now.
    pub(super) fn next(&mut self) -> Result<Option<Event>, Errno> {
        if let Some(event) = self.events.next() {
            return Ok(Some(event));
        }
        self.events = match self.read() {
            Ok(events) => events.into_iter(),
            Err(Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        Ok(self.events.next())
    }

    /// One buffer's worth.
    fn read(&mut self) -> Result<Vec<Event>, Errno> {
        let mut reader = inotify::Reader::new(&self.inotify, &mut self.buffer);
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => events.push(Event {
                    watch: event.wd(),
                    what: event.events(),
                    cookie: event.cookie(),
                    name: event.file_name().map(|name| name.to_bytes().to_vec()).unwrap_or_default(),
                }),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            }
            if reader.is_buffer_empty() {
                return Ok(events);
            }
        }
    }
}

impl AsFd for Kernel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
