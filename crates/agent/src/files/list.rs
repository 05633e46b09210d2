//! What is in a folder.

use std::{os::fd::OwnedFd, time::Instant};

use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
};
use sentinal_agent_protocol::{
    CHUNK_BYTES,
    v1::{Entry, FileStat, FileType, ListFolderRequest, ListFolderResponse},
};
use tonic::Status;

use super::{
    Transfers, absolute,
    outgoing::{Gone, Outgoing, Sender},
    refusal::refusal,
    stat::look_at,
    walk::{Bounds, Stop, Walk},
};
use crate::{
    limits,
    user::{Names, User},
};

/// What an entry takes beside its path and target.
const ENTRY_OVERHEAD_BYTES: usize = 64;

/// Answers with the first entries.
pub(crate) async fn list(
    transfers: &Transfers,
    user: User,
    names: Names,
    request: ListFolderRequest,
) -> Result<Outgoing<ListFolderResponse>, Status> {
    let path = absolute(&request.path, &user)?;
    Outgoing::start(transfers, user.identity, move |sender| send(&path, &request, &names, sender)).await
}

/// On a thread that is the user.
fn send(
    path: &str,
    request: &ListFolderRequest,
    names: &Names,
    sender: &Sender<ListFolderResponse>,
) -> Result<(), Status> {
    let stopped = |stop| stopped(path, stop);
    let top = open_top(path).map_err(|errno| refusal(path, errno))?;
    let entries_max = usize::try_from(request.entries_max).unwrap_or(usize::MAX).min(limits::LIST_ENTRIES_MAX);
    let bounds = Bounds {
        depth: usize::try_from(request.depth).unwrap_or(usize::MAX).clamp(1, limits::LIST_DEPTH_MAX),
        // One more than are told, to know whether there are more.
        names: entries_max + 1,
        deadline: Instant::now() + limits::FOLDER_WORK_MAX,
    };
    let mut page = Page { sender, entries: Vec::new(), bytes: 0, bytes_sent: 0, entries_left: entries_max };
    let mut walk = Walk::begin(top, bounds, &request.after).map_err(stopped)?;
    let more = loop {
        let name = match walk.next() {
            Ok(Some(name)) => name,
            Ok(None) => break false,
            Err(Stop::Cut) => break true,
            Err(stop) => return Err(stopped(stop)),
        };
        if page.is_full() {
            break true;
        }
        let Some(folder) = walk.folder() else { break false };
        let stat = match look_at(folder, &name, names) {
            Ok(stat) => stat,
            // Gone since its name was read.
            Err(Errno::NOENT) => continue,
            // Only its name is the user's to know.
            Err(_) => FileStat::default(),
        };
        let mut entry = Entry { path: walk.path_of(&name), stat: Some(stat), unreadable: false };
        if is_folder(&entry) && walk.may_enter() {
            match walk.enter(&name) {
                Ok(()) => {}
                Err(Stop::Refused(_)) => entry.unreadable = true,
                Err(stop) => return Err(stopped(stop)),
            }
        }
        if page.add(entry).is_err() {
            return Ok(());
        }
    };
    // Nobody wants to know any more, if this fails.
    let _ = page.finish(more);
    Ok(())
}

fn is_folder(entry: &Entry) -> bool {
    entry.stat.as_ref().is_some_and(|stat| stat.r#type() == FileType::Directory)
}

fn stopped(path: &str, stop: Stop) -> Status {
    match stop {
        Stop::Refused(errno) => refusal(path, errno),
        Stop::Late | Stop::Cut => {
            let seconds = limits::FOLDER_WORK_MAX.as_secs();
            Status::resource_exhausted(format!("{path} has too much in it to be listed within {seconds} seconds"))
        }
    }
}

/// A folder, through whatever links lead there.
pub(super) fn open_top(path: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
}

/// The entries of one answer, sent in messages of bounded size.
struct Page<'a> {
    sender: &'a Sender<ListFolderResponse>,
    entries: Vec<Entry>,
    bytes: usize,
    bytes_sent: usize,
    entries_left: usize,
}

impl Page<'_> {
    fn is_full(&self) -> bool {
        self.entries_left == 0 || limits::LIST_BYTES_MAX <= self.bytes_sent + self.bytes
    }

    fn add(&mut self, entry: Entry) -> Result<(), Gone> {
        let target = entry.stat.as_ref().map_or(0, |stat| stat.target.len());
        self.bytes += entry.path.len() + target + ENTRY_OVERHEAD_BYTES;
        self.entries_left = self.entries_left.saturating_sub(1);
        self.entries.push(entry);
        if self.bytes < CHUNK_BYTES {
            return Ok(());
        }
        self.bytes_sent += std::mem::take(&mut self.bytes);
        self.sender.send(ListFolderResponse { entries: std::mem::take(&mut self.entries), more: None })
    }

    fn finish(self, more: bool) -> Result<(), Gone> {
        self.sender.send(ListFolderResponse { entries: self.entries, more: Some(more) })
    }
}
