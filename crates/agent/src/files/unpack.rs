//! A tar stream into a folder.
//!
//! It is unpacked here, as the user, and not by the server: what a hostile archive does to whoever reads it, it does
//! inside. Each entry goes into a folder that was reached from the destination name by name, through no link, so that
//! neither an archive nor a program that exchanges folders meanwhile leads it elsewhere. (That is what `openat2` with
//! `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS` would do; not every kernel here has it, and one way is enough.)

mod entry;
mod source;

use std::{
    ffi::CString,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps},
    io::Errno,
};
use sentinal_agent_protocol::v1::{WriteArchiveResponse, WriteFileRequest};
use sentinal_archive::{Entries, Entry, Kind};
use tonic::{Status, Streaming};

use self::{
    entry::{Place, leads_out, permissions, place, refused},
    source::{Source, explained},
};
use super::{
    Transfers, incoming,
    place::open_folder,
    refusal::refusal,
    unfinished::{Unfinished, write_all},
};
use crate::{limits, user::Users};

/// Takes a whole archive. What was unpacked before something was refused stays.
pub(crate) async fn unpack(
    transfers: &Transfers,
    users: &Users,
    messages: Streaming<WriteFileRequest>,
) -> Result<WriteArchiveResponse, Status> {
    incoming::receive(transfers, users, messages, |path, start, body| {
        let top = open_folder(path, start.make_parents).map_err(|errno| refusal(path, errno))?;
        let mut unpacking = Unpacking { top, current: None, entries: 0, bytes: 0 };
        let mut source = Entries::new(Source::new(body));
        while let Some(entry) = source.entry().map_err(explained)? {
            unpacking.add(&entry, &mut source)?;
        }
        source.drain()?;
        Ok(WriteArchiveResponse { entries: unpacking.entries, bytes: unpacking.bytes })
    })
    .await
}

struct Unpacking {
    top: OwnedFd,
    /// The folder of the entry before: most often that of the next one, too.
    current: Option<(Vec<CString>, OwnedFd)>,
    entries: u64,
    bytes: u64,
}

impl Unpacking {
    fn add(&mut self, entry: &Entry, source: &mut Entries<Source<'_>>) -> Result<(), Status> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(entry.size);
        if limits::ARCHIVE_ENTRIES_MAX < self.entries {
            let most = limits::ARCHIVE_ENTRIES_MAX;
            return Err(Status::resource_exhausted(format!("the archive has more than {most} entries")));
        }
        if limits::ARCHIVE_BYTES_MAX < self.bytes {
            let most = limits::ARCHIVE_BYTES_MAX;
            return Err(Status::resource_exhausted(format!("the archive has more than {most} bytes of files")));
        }
        let Some(place) = place(entry)? else {
            // The destination itself, which is there.
            return if entry.kind == Kind::Directory { Ok(()) } else { Err(refused(&entry.path, "has no name")) };
        };
        let kernel = |errno| refusal(&String::from_utf8_lossy(&entry.path), errno);
        match entry.kind {
            Kind::Directory => self.make_folder(entry, &place),
            Kind::File => {
                let folder = self.folder(entry, &place)?;
                write(folder, entry, &place, source)
            }
            Kind::Symlink if leads_out(&entry.link, place.folder.len()) => {
                Err(refused(&entry.path, "is a symbolic link that leads out of the folder"))
            }
            Kind::Symlink => {
                let target = CString::new(entry.link.clone()).map_err(|_| kernel(Errno::INVAL))?;
                let folder = self.folder(entry, &place)?;
                replace(folder, &place, || rustix::fs::symlinkat(&target, folder, &place.name)).map_err(kernel)
            }
            Kind::Hardlink => self.link(entry, &place),
            Kind::Special(what) | Kind::Other(what) => {
                Err(refused(&entry.path, &format!("is {what}, which is not unpacked")))
            }
            Kind::LongPath | Kind::LongLink | Kind::Extended | Kind::ExtendedForAll => {
                Err(refused(&entry.path, "is described twice"))
            }
        }
    }

    /// It may be there already and keeps its permissions then. What is to be written into it can be.
    fn make_folder(&mut self, entry: &Entry, place: &Place) -> Result<(), Status> {
        let kernel = |errno| refusal(&String::from_utf8_lossy(&entry.path), errno);
        let folder = self.folder(entry, place)?;
        match rustix::fs::mkdirat(folder, &place.name, Mode::RWXU) {
            Ok(()) => {
                let made = super::walk::open_folder(folder, &place.name).map_err(kernel)?;
                rustix::fs::fchmod(&made, permissions(entry) | Mode::RWXU).map_err(kernel)
            }
            Err(Errno::EXIST) if is_kind(folder, place, FileType::Directory) => Ok(()),
            Err(errno) => Err(kernel(errno)),
        }
    }

    /// To a file that is there, most often one of the archive's own.
    fn link(&mut self, entry: &Entry, place: &Place) -> Result<(), Status> {
        let kernel = |errno| refusal(&String::from_utf8_lossy(&entry.path), errno);
        let leads_out = |_| refused(&entry.path, "is a hard link that leads out of the folder");
        let target = Place::new(&entry.path, &entry.link).map_err(leads_out)?;
        let target =
            target.filter(|target| target != place).ok_or_else(|| refused(&entry.path, "is a link to itself"))?;
        let source = self.descend(entry, &target, Missing::Refused)?;
        if !is_kind(&source, &target, FileType::RegularFile) {
            return Err(refused(&entry.path, "is a hard link to what is no file of the folder"));
        }
        let folder = self.folder(entry, place)?;
        let link = || rustix::fs::linkat(&source, &target.name, folder, &place.name, AtFlags::empty());
        replace(folder, place, link).map_err(kernel)
    }

    /// The folder that an entry goes into.
    fn folder(&mut self, entry: &Entry, place: &Place) -> Result<&OwnedFd, Status> {
        let folder = match self.current.take().filter(|(path, _)| *path == place.folder) {
            Some(current) => current,
            None => (place.folder.clone(), self.descend(entry, place, Missing::Made)?),
        };
        Ok(&self.current.insert(folder).1)
    }

    fn descend(&self, entry: &Entry, place: &Place, missing: Missing) -> Result<OwnedFd, Status> {
        let kernel = |errno| refusal(&String::from_utf8_lossy(&entry.path), errno);
        let mut folder =
            self.top.try_clone().map_err(|error| kernel(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        for name in &place.folder {
            folder = match enter(&folder, name) {
                Err(Errno::NOENT) if missing == Missing::Made => {
                    match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(Errno::EXIST) => enter(&folder, name),
                        Err(errno) => Err(errno),
                    }
                }
                other => other,
            }
            .map_err(|errno| match errno {
                Errno::NOTDIR | Errno::LOOP => {
                    let way = name.to_string_lossy();
                    refused(&entry.path, &format!("goes through {way:?}, which is no folder; links are not followed"))
                }
                errno => kernel(errno),
            })?;
        }
        Ok(folder)
    }
}

/// What becomes of folders that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Made,
    Refused,
}

fn enter(folder: &OwnedFd, name: &CString) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

fn write(folder: &OwnedFd, entry: &Entry, place: &Place, source: &mut Entries<Source<'_>>) -> Result<(), Status> {
    let kernel = |errno| refusal(&String::from_utf8_lossy(&entry.path), errno);
    let unfinished = Unfinished::create(folder.as_fd()).map_err(kernel)?;
    source.content(entry, |bytes| write_all(&unfinished.file, bytes).map_err(kernel)).map_err(explained)?;
    let modified = Timespec { tv_sec: i64::try_from(entry.modified_s).unwrap_or(0), tv_nsec: 0 };
    // A file system may not take every time.
    let _ = rustix::fs::futimens(&unfinished.file, &Timestamps { last_access: modified, last_modification: modified });
    unfinished.finish(&place.name, permissions(entry)).map_err(kernel)
}

/// Makes something in the place of what may be there, unless that is a folder.
fn replace(folder: &OwnedFd, place: &Place, make: impl Fn() -> Result<(), Errno>) -> Result<(), Errno> {
    match make() {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(folder, &place.name, AtFlags::empty())?;
            make()
        }
        other => other,
    }
}

fn is_kind(folder: &OwnedFd, place: &Place, kind: FileType) -> bool {
    let stat = rustix::fs::statat(folder, &place.name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == kind)
}
