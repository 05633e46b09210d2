//! A file in: written beside its place and renamed at the end, so that there is the whole file or none of it.

use std::{
    fmt::Write as _,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};
use sentinal_agent_protocol::v1::{WriteFileRequest, WriteFileStart};
use tokio::{sync::mpsc, time::timeout};
use tonic::{Status, Streaming};

use super::{Transfers, absolute, place::Place, refusal::refusal};
use crate::{limits, user::Users};

const MODE_DEFAULT: u32 = 0o644;
const MODE_MAX: u32 = 0o7777;

/// One message's worth.
struct Chunk {
    data: Vec<u8>,
    is_last: bool,
}

/// Takes a whole file and says how large it was.
pub(crate) async fn upload(
    transfers: &Transfers,
    users: &Users,
    mut messages: Streaming<WriteFileRequest>,
) -> Result<u64, Status> {
    let mut message = next(&mut messages).await?;
    let start = message.start.take().ok_or_else(|| Status::invalid_argument("the first message must have a start"))?;
    let user = users.find(start.user.as_ref().map_or("", |user| &user.name))?;
    let path = absolute(&start.path, &user)?;
    let mode = mode(&start)?;
    let (sender, receiver) = mpsc::channel(limits::TRANSFER_QUEUE_MESSAGES);
    let work = move || receive(&path, start.make_parents, mode, receiver);
    let writing = transfers.start(user.identity, work).await?;
    let forwarded = forward(message, messages, sender).await;
    let written = writing.await.map_err(|lost| Status::internal(format!("the upload was lost: {lost}")))?;
    // When the writer failed, that is the cause; forwarding failed only because of it.
    written.and_then(|size| forwarded.map(|()| size))
}

fn mode(start: &WriteFileStart) -> Result<Mode, Status> {
    match start.mode {
        0 => Ok(Mode::from_raw_mode(MODE_DEFAULT)),
        mode if mode <= MODE_MAX => Ok(Mode::from_raw_mode(mode)),
        _ => Err(Status::invalid_argument("mode must not be above octal 7777")),
    }
}

async fn next(messages: &mut Streaming<WriteFileRequest>) -> Result<WriteFileRequest, Status> {
    match timeout(limits::TRANSFER_IDLE, messages.message()).await {
        Ok(message) => message?.ok_or_else(cut_off),
        Err(_) => Err(Status::deadline_exceeded("the upload made no progress")),
    }
}

fn cut_off() -> Status {
    Status::aborted("the upload ended before the file was complete")
}

/// Dropping the sender before the last chunk is how the writer learns that there is none.
async fn forward(
    mut message: WriteFileRequest,
    mut messages: Streaming<WriteFileRequest>,
    sender: mpsc::Sender<Chunk>,
) -> Result<(), Status> {
    loop {
        let is_last = message.end;
        let sent = sender.send(Chunk { data: message.data, is_last }).await;
        if is_last || sent.is_err() {
            return Ok(());
        }
        message = next(&mut messages).await?;
    }
}

/// On a thread that is the user.
fn receive(path: &str, with_parents: bool, mode: Mode, mut chunks: mpsc::Receiver<Chunk>) -> Result<u64, Status> {
    let place = Place::find(path, with_parents)?;
    place.check(path)?;
    let unfinished = Unfinished::create(&place).map_err(|errno| refusal(path, errno))?;
    let mut size = 0;
    loop {
        let chunk = chunks.blocking_recv().ok_or_else(cut_off)?;
        size += chunk.data.len() as u64;
        write_all(&unfinished.file, &chunk.data).map_err(|errno| refusal(path, errno))?;
        if chunk.is_last {
            unfinished.finish(mode).map_err(|errno| refusal(path, errno))?;
            return Ok(size);
        }
    }
}

fn write_all(file: &OwnedFd, mut data: &[u8]) -> Result<(), Errno> {
    while !data.is_empty() {
        match rustix::io::write(file, data) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => data = data.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A file beside its place, removed unless it is finished.
struct Unfinished<'a> {
    place: &'a Place,
    name: String,
    file: OwnedFd,
    is_finished: bool,
}

impl<'a> Unfinished<'a> {
    fn create(place: &'a Place) -> Result<Self, Errno> {
        let name = random_name()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(place.folder.as_fd(), &name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Self { place, name, file, is_finished: false })
    }

    fn finish(mut self, mode: Mode) -> Result<(), Errno> {
        rustix::fs::fchmod(&self.file, mode)?;
        rustix::fs::renameat(&self.place.folder, &self.name, &self.place.folder, &self.place.name)?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            // Whoever took it away did our work.
            let _ = rustix::fs::unlinkat(&self.place.folder, &self.name, AtFlags::empty());
        }
    }
}

/// Nobody inside can know it beforehand.
fn random_name() -> Result<String, Errno> {
    let mut bytes = [0_u8; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    let mut name = ".sentinal-upload-".to_owned();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    Ok(name)
}
