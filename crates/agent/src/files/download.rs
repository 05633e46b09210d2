//! A file out, or a part of it.

use std::os::fd::OwnedFd;

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, SeekFrom},
    io::Errno,
};
use sentinal_agent_protocol::{
    CHUNK_BYTES,
    v1::{ReadFileRequest, ReadFileResponse},
};
use tonic::Status;

use super::{
    Transfers, absolute,
    outgoing::{Outgoing, Sender},
    refusal::{is_directory, not_regular, refusal},
};
use crate::user::User;

/// Which bytes of a file.
#[derive(Debug, Clone, Copy)]
struct Range {
    offset: u64,
    from_end: bool,
    /// 0: all that follow.
    length: u64,
}

/// Answers once the file is open and its beginning is read.
pub(crate) async fn download(
    transfers: &Transfers,
    user: User,
    request: ReadFileRequest,
) -> Result<Outgoing<ReadFileResponse>, Status> {
    let path = absolute(&request.path, &user)?;
    let range = Range { offset: request.offset, from_end: request.from_end, length: request.length };
    Outgoing::start(transfers, user.identity, move |sender| send(&path, range, sender)).await
}

/// On a thread that is the user.
fn send(path: &str, range: Range, sender: &Sender<ReadFileResponse>) -> Result<(), Status> {
    let refused = |errno| refusal(path, errno);
    let (file, size) = open(path)?;
    let (offset, mut left) = range.within(size);
    if 0 < offset {
        rustix::fs::seek(&file, SeekFrom::Start(offset)).map_err(refused)?;
    }
    let mut head = ReadFileResponse { size, offset, ..ReadFileResponse::default() };
    loop {
        let data = read(&file, left).map_err(refused)?;
        let count = data.len() as u64;
        left = left.saturating_sub(count);
        // A file that has shrunk ends early.
        let end = left == 0 || count == 0;
        if sender.send(ReadFileResponse { data: data.into(), end, ..std::mem::take(&mut head) }).is_err() || end {
            return Ok(());
        }
    }
}

impl Range {
    /// Where it begins in a file of this size, and how many bytes it has there.
    fn within(self, size: u64) -> (u64, u64) {
        let offset = if self.from_end { size.saturating_sub(self.offset) } else { self.offset.min(size) };
        let most = if self.length == 0 { u64::MAX } else { self.length };
        (offset, most.min(size - offset))
    }
}

/// A regular file and its size. What it is is looked at before it is opened, since opening a FIFO or a device
/// is an act of its own; and afterwards, since it may have been exchanged.
fn open(path: &str) -> Result<(OwnedFd, u64), Status> {
    let refused = |errno| refusal(path, errno);
    check(path, rustix::fs::stat(path).map_err(refused)?.st_mode)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(refused)?;
    let stat = rustix::fs::fstat(&file).map_err(refused)?;
    check(path, stat.st_mode)?;
    Ok((file, u64::try_from(stat.st_size).unwrap_or(0)))
}

fn check(path: &str, mode: rustix::fs::RawMode) -> Result<(), Status> {
    let kind = FileType::from_raw_mode(mode);
    if kind.is_dir() {
        return Err(is_directory(path));
    }
    if kind.is_file() { Ok(()) } else { Err(not_regular(path)) }
}

/// The next chunk; empty at the end.
pub(super) fn read(file: &OwnedFd, left: u64) -> Result<Vec<u8>, Errno> {
    let most = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
    if most == 0 {
        return Ok(Vec::new());
    }
    let mut data = Vec::with_capacity(most);
    loop {
        match rustix::io::read(file, rustix::buffer::spare_capacity(&mut data)) {
            Ok(_) => return Ok(data),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_stays_within_its_file() {
        let check = |offset, from_end, length, size, expected| {
            assert_eq!(
                Range { offset, from_end, length }.within(size),
                expected,
                "{offset} {from_end} {length} {size}"
            );
        };
        check(0, false, 0, 10, (0, 10));
        check(3, false, 4, 10, (3, 4));
        check(3, false, 40, 10, (3, 7));
        check(10, false, 0, 10, (10, 0));
        check(u64::MAX, false, u64::MAX, 10, (10, 0));
        check(4, true, 0, 10, (6, 4));
        check(u64::MAX, true, 0, 10, (0, 10));
        check(0, true, 0, 10, (10, 0));
        check(0, false, 0, 0, (0, 0));
    }
}
