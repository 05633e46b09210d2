//! A folder as a tar stream.
//!
//! It is walked through twice: the first time nothing is sent, so that what cannot be packed is refused with words
//! rather than cut off in the middle. What an image is to be made of is as large as it is, and is walked through once.

mod scope;

use std::{
    collections::HashMap,
    ffi::CStr,
    os::fd::{BorrowedFd, OwnedFd},
    time::Instant,
};

use rustix::{
    fs::{Access, AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use sentinal_agent_protocol::{
    CHUNK_BYTES,
    v1::{ReadArchiveRequest, ReadFileResponse},
};
use sentinal_archive::{Header, Kind, PADDING, padding};
use tonic::Status;

use self::scope::{Amount, Scope};
use super::{
    Transfers, absolute,
    download::read,
    list::open_top,
    outgoing::{Gone, Outgoing, Sender},
    refusal::refusal,
    stat::target,
    walk::{Bounds, Stop, Walk},
};
use crate::{limits, user::User};

/// Answers once it is sure that all of it can be packed, as far as one can know.
pub(crate) async fn pack(
    transfers: &Transfers,
    user: User,
    request: ReadArchiveRequest,
) -> Result<Outgoing<ReadFileResponse>, Status> {
    let path = absolute(&request.path, &user)?;
    let scope = if request.as_image { Scope::Image } else { Scope::Folder };
    Outgoing::start(transfers, user.identity, move |sender| {
        if scope == Scope::Folder {
            check(&path)?;
        }
        // All waits from here on are for a part of it.
        if sender.send(ReadFileResponse::default()).is_err() {
            return Ok(());
        }
        let mut archive = Archive { sender, buffer: Vec::with_capacity(2 * CHUNK_BYTES), scope, links: HashMap::new() };
        match send(&path, &mut archive) {
            // Nobody wants the rest.
            Ok(()) | Err(Failure::Gone) => Ok(()),
            Err(Failure::Refused(status)) => Err(status),
        }
    })
    .await
}

/// Whether all of it may be read, and how much it is.
fn check(path: &str) -> Result<(), Status> {
    let mut amount = Amount::default();
    let deadline = Instant::now() + limits::FOLDER_WORK_MAX;
    each(path, deadline, Scope::Folder, |found| {
        if found.kind.is_file() {
            let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
            match rustix::fs::accessat(found.folder, found.name, Access::READ_OK, flags) {
                Err(errno) if errno != Errno::NOENT => return Err(refusal(&found.shown(path), errno).into()),
                _ => {}
            }
        }
        Ok(amount.add(&found.stat, Scope::Folder, path)?)
    })
    .map_err(|failure| match failure {
        Failure::Refused(status) => status,
        Failure::Gone => Status::cancelled("nobody waits for it"),
    })
}

fn send(path: &str, archive: &mut Archive<'_>) -> Result<(), Failure> {
    let (mut amount, scope) = (Amount::default(), archive.scope);
    each(path, Instant::now() + limits::ARCHIVE_MAX, scope, |found| {
        amount.add(&found.stat, scope, path)?;
        archive.add(path, &found)
    })?;
    archive.finish()
}

/// Something in the folder.
struct Found<'a> {
    folder: BorrowedFd<'a>,
    name: &'a CStr,
    /// Within the folder that is packed.
    path: Vec<u8>,
    kind: FileType,
    stat: Stat,
}

impl Found<'_> {
    fn shown(&self, top: &str) -> String {
        format!("{top}/{}", String::from_utf8_lossy(&self.path))
    }
}

enum Failure {
    Refused(Status),
    Gone,
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<Gone> for Failure {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

/// Every file, folder and link in a folder, a folder before what is in it.
fn each(
    path: &str,
    deadline: Instant,
    scope: Scope,
    mut act: impl FnMut(Found<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let stopped = |path: &str, stop| stopped(path, scope, stop);
    let top = open_top(path).map_err(|errno| refusal(path, errno))?;
    let device = rustix::fs::fstat(&top).map_err(|errno| refusal(path, errno))?.st_dev;
    let names = usize::try_from(limits::ARCHIVE_ENTRIES_MAX).unwrap_or(usize::MAX);
    let bounds = Bounds { depth: limits::ARCHIVE_DEPTH_MAX, names, deadline };
    let mut walk = Walk::begin(top, bounds, b"").map_err(|stop| stopped(path, stop))?;
    while let Some(name) = walk.next().map_err(|stop| stopped(path, stop))? {
        let Some(folder) = walk.folder() else { return Ok(()) };
        let entry_path = walk.path_of(&name);
        let shown = || format!("{path}/{}", String::from_utf8_lossy(&entry_path));
        let stat = match rustix::fs::statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Gone since its name was read.
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(refusal(&shown(), errno).into()),
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_own = scope.leaves_out(&entry_path);
        if is_own || !matches!(kind, FileType::RegularFile | FileType::Directory | FileType::Symlink) {
            continue;
        }
        act(Found { folder, name: &name, path: entry_path.clone(), kind, stat })?;
        // Only folders tell: a file of an overlay may be on a device of its own.
        let is_mounted = scope == Scope::Image && stat.st_dev != device;
        if kind.is_dir() && !is_mounted {
            if !walk.may_enter() {
                let most = limits::ARCHIVE_DEPTH_MAX;
                let message = format!("{} is nested deeper than {most} folders", shown());
                return Err(Status::resource_exhausted(message).into());
            }
            match walk.enter(&name) {
                // Gone, or no folder any more, since it was looked at.
                Ok(()) | Err(Stop::Refused(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => {}
                Err(stop) => return Err(stopped(&shown(), stop).into()),
            }
        }
    }
    Ok(())
}

fn stopped(path: &str, scope: Scope, stop: Stop) -> Status {
    match stop {
        Stop::Refused(errno) => refusal(path, errno),
        Stop::Late | Stop::Cut => scope.too_large(path),
    }
}

/// What goes out.
struct Archive<'a> {
    sender: &'a Sender<ReadFileResponse>,
    buffer: Vec<u8>,
    scope: Scope,
    /// Files with several names, by what they are, with the first that was packed.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl Archive<'_> {
    fn add(&mut self, top: &str, found: &Found<'_>) -> Result<(), Failure> {
        let refused = |errno| refusal(&found.shown(top), errno);
        // Without one it is of whoever unpacks it.
        let (uid, gid) = match self.scope {
            Scope::Folder => (0, 0),
            Scope::Image => (found.stat.st_uid, found.stat.st_gid),
        };
        let mut header = Header {
            kind: Kind::File,
            path: found.path.clone(),
            link: Vec::new(),
            mode: found.stat.st_mode & 0o7777,
            uid: uid.into(),
            gid: gid.into(),
            size: 0,
            modified_s: u64::try_from(found.stat.st_mtime).unwrap_or(0),
        };
        if found.kind.is_file() {
            if let Some(first) = self.known(found) {
                (header.kind, header.link) = (Kind::Hardlink, first);
                return self.put(&header);
            }
            let Some((file, size)) = open(found).map_err(refused)? else { return Ok(()) };
            header.size = size;
            self.put(&header)?;
            return self.put_content(&found.shown(top), &file, size);
        }
        if found.kind.is_dir() {
            header.kind = Kind::Directory;
            header.path.push(b'/');
        } else {
            header.kind = Kind::Symlink;
            header.link = match target(found.folder, found.name) {
                // Gone, or no link any more.
                Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
                other => other.map_err(refused)?,
            };
        }
        self.put(&header)
    }

    /// The first name of a file that was packed already.
    fn known(&mut self, found: &Found<'_>) -> Option<Vec<u8>> {
        if self.scope == Scope::Folder || found.stat.st_nlink < 2 {
            return None;
        }
        let file = (found.stat.st_dev, found.stat.st_ino);
        let known = self.links.get(&file).cloned();
        if known.is_none() && self.links.len() < limits::IMAGE_LINKS_MAX {
            self.links.insert(file, found.path.clone());
        }
        known
    }

    fn put(&mut self, header: &Header) -> Result<(), Failure> {
        header.write(|block| self.buffer.extend_from_slice(block));
        self.flush()
    }

    fn put_content(&mut self, path: &str, file: &OwnedFd, size: u64) -> Result<(), Failure> {
        let mut left = size;
        while 0 < left {
            let data = read(file, left).map_err(|errno| refusal(path, errno))?;
            if data.is_empty() {
                return Err(Status::aborted(format!("{path} became shorter while it was read")).into());
            }
            left = left.saturating_sub(data.len() as u64);
            self.buffer.extend_from_slice(&data);
            self.flush()?;
        }
        self.buffer.extend_from_slice(&PADDING[..padding(size)]);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        while CHUNK_BYTES <= self.buffer.len() {
            let rest = self.buffer.split_off(CHUNK_BYTES);
            let data = std::mem::replace(&mut self.buffer, rest).into();
            self.sender.send(ReadFileResponse { data, ..ReadFileResponse::default() })?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.buffer.extend_from_slice(&PADDING);
        self.flush()?;
        let data = std::mem::take(&mut self.buffer).into();
        Ok(self.sender.send(ReadFileResponse { data, end: true, ..ReadFileResponse::default() })?)
    }
}

/// A file, and its size now; `None` if it is none any more.
fn open(found: &Found<'_>) -> Result<Option<(OwnedFd, u64)>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(found.folder, found.name, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
        other => other?,
    };
    let stat = rustix::fs::fstat(&file)?;
    let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
    Ok(is_file.then(|| (file, u64::try_from(stat.st_size).unwrap_or(0))))
}
