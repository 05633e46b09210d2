//! A file out.

use std::{
    os::fd::OwnedFd,
    pin::Pin,
    task::{Context, Poll},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags},
    io::Errno,
};
use sentinal_agent_protocol::{CHUNK_BYTES, v1::ReadFileResponse};
use tokio::sync::mpsc;
use tonic::Status;

use super::{
    Transfers, absolute,
    refusal::{is_directory, not_regular, refusal},
};
use crate::{limits, user::User};

type Message = Result<ReadFileResponse, Status>;

/// A file's bytes, as they are read.
pub(crate) struct Download {
    first: Option<ReadFileResponse>,
    /// None: nothing follows.
    rest: Option<mpsc::Receiver<Message>>,
}

/// Answers once the file is open and its beginning is read.
pub(crate) async fn download(transfers: &Transfers, user: User, path: String) -> Result<Download, Status> {
    let path = absolute(&path, &user)?;
    let (sender, mut receiver) = mpsc::channel(limits::TRANSFER_QUEUE_MESSAGES);
    let work = move || {
        let sent = send(&path, &sender);
        if let Err(status) = sent {
            // Nobody wants to know any more, if this fails.
            let _ = sender.blocking_send(Err(status));
        }
        Ok(())
    };
    // Its result comes through the channel, but for a change of identity that failed.
    let reading = transfers.start(user.identity, work).await?;
    let Some(first) = receiver.recv().await else {
        let lost = reading.await.map_err(|lost| Status::internal(format!("the download was lost: {lost}")))?;
        return Err(lost.err().unwrap_or_else(|| Status::internal("the download was lost")));
    };
    let first = first?;
    let rest = (!first.end).then_some(receiver);
    Ok(Download { first: Some(first), rest })
}

/// On a thread that is the user.
fn send(path: &str, sender: &mpsc::Sender<Message>) -> Result<(), Status> {
    let (file, size) = open(path)?;
    let mut left = size;
    let mut is_first = true;
    loop {
        let data = read(&file, left).map_err(|errno| refusal(path, errno))?;
        let count = data.len() as u64;
        left = left.saturating_sub(count);
        // A file that has shrunk ends early.
        let end = left == 0 || count == 0;
        let size = if is_first { size } else { 0 };
        is_first = false;
        if sender.blocking_send(Ok(ReadFileResponse { size, data, end })).is_err() || end {
            return Ok(());
        }
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
fn read(file: &OwnedFd, left: u64) -> Result<Vec<u8>, Errno> {
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

impl futures::Stream for Download {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let message = std::task::ready!(rest.poll_recv(cx));
        if !matches!(&message, Some(Ok(ReadFileResponse { end: false, .. }))) {
            self.rest = None;
        }
        Poll::Ready(message)
    }
}
