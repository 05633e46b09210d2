//! A file in: whole, or at the end of what is there.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags};
use sentinal_agent_protocol::v1::{WriteFileRequest, WriteFileResponse};
use tonic::{Status, Streaming};

use super::{
    Transfers,
    incoming::{self, Incoming},
    mode_or,
    place::Place,
    refusal::{not_regular, refusal},
    unfinished::{Unfinished, write_all},
};
use crate::user::Users;

const MODE_DEFAULT: u32 = 0o644;

/// Takes a whole file.
pub(crate) async fn upload(
    transfers: &Transfers,
    users: &Users,
    messages: Streaming<WriteFileRequest>,
) -> Result<WriteFileResponse, Status> {
    incoming::receive(transfers, users, messages, |path, start, body| {
        let mode = mode_or(start.mode, MODE_DEFAULT)?;
        let place = Place::find(path, start.make_parents)?;
        place.check(path)?;
        let refused = |errno| refusal(path, errno);
        let unfinished = Unfinished::create(place.folder.as_fd()).map_err(refused)?;
        let size = write(path, &unfinished.file, body)?;
        unfinished.finish(&place.name, mode).map_err(refused)?;
        Ok(WriteFileResponse { size, file_size: size })
    })
    .await
}

/// Writes after the end of a file. What was written stays, whatever happens then: others may have gone on from there.
pub(crate) async fn append(
    transfers: &Transfers,
    users: &Users,
    messages: Streaming<WriteFileRequest>,
) -> Result<WriteFileResponse, Status> {
    incoming::receive(transfers, users, messages, |path, start, body| {
        let mode = mode_or(start.mode, MODE_DEFAULT)?;
        let place = Place::find(path, start.make_parents)?;
        place.check(path)?;
        let file = open_end(path, &place, mode)?;
        let size = write(path, &file, body)?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| refusal(path, errno))?;
        Ok(WriteFileResponse { size, file_size: u64::try_from(stat.st_size).unwrap_or(0) })
    })
    .await
}

/// A regular file that takes bytes at its end; a new one has these permissions.
fn open_end(path: &str, place: &Place, mode: Mode) -> Result<OwnedFd, Status> {
    let refused = |errno| refusal(path, errno);
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let made = rustix::fs::openat(&place.folder, &place.name, flags | OFlags::CREATE | OFlags::EXCL, Mode::RWXU);
    let file = match made {
        Ok(file) => {
            rustix::fs::fchmod(&file, mode).map_err(refused)?;
            file
        }
        Err(rustix::io::Errno::EXIST) => {
            rustix::fs::openat(&place.folder, &place.name, flags, Mode::empty()).map_err(refused)?
        }
        Err(errno) => return Err(refused(errno)),
    };
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file).map_err(refused)?.st_mode);
    if kind.is_file() { Ok(file) } else { Err(not_regular(path)) }
}

fn write(path: &str, file: &OwnedFd, body: &mut Incoming) -> Result<u64, Status> {
    let mut size = 0;
    loop {
        let chunk = body.next()?;
        size += chunk.data.len() as u64;
        write_all(file, &chunk.data).map_err(|errno| refusal(path, errno))?;
        if chunk.is_last {
            return Ok(size);
        }
    }
}
