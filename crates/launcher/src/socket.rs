//! What the two processes of a launch tell each other: open files one way, and why it failed the other.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socketpair,
};

use crate::{LaunchError, Step, error::At as _};

/// Most open files that are handed over.
const HANDED_OVER_MAX: usize = 4;
/// Longest reason.
const REASON_BYTES_MAX: usize = 1024;

/// One end of the conversation. It closes when its holder becomes another program or ends.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    pub(crate) fn pair() -> Result<(Self, Self), LaunchError> {
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (one, other) = pair.at(Step::Talk, "make a socket")?;
        Ok((Self(one), Self(other)))
    }

    pub(crate) fn hand_over(&self, files: &[BorrowedFd<'_>]) -> Result<(), LaunchError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDED_OVER_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(files));
        }
        let sent = sendmsg(&self.0, &[IoSlice::new(b"!")], &mut control, SendFlags::NOSIGNAL);
        sent.map(drop).at(Step::Talk, "hand over what was opened")
    }

    /// Waits for what the other side hands over.
    pub(crate) fn take_over(&self) -> Result<Vec<OwnedFd>, LaunchError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDED_OVER_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let buffer = &mut [IoSliceMut::new(&mut byte)];
        let received = recvmsg(&self.0, buffer, &mut control, RecvFlags::CMSG_CLOEXEC);
        if received.at(Step::Talk, "take over what was opened")?.bytes == 0 {
            return Err(LaunchError::new(Step::Talk, "take over what was opened", "the other side is gone"));
        }
        let mut files: Vec<OwnedFd> = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(handed) = message {
                files.extend(handed);
            }
        }
        Ok(files)
    }

    /// Tells why it failed. Nobody is left to tell when that fails, too.
    pub(crate) fn complain(&self, error: &LaunchError) {
        let text = error.to_string();
        let _ = send(&self.0, &text.as_bytes()[..text.len().min(REASON_BYTES_MAX)], SendFlags::NOSIGNAL);
    }

    /// Waits until the other side has become another program; or fails with its reason.
    pub(crate) fn closed(&self) -> Result<(), LaunchError> {
        let mut reason = [0; REASON_BYTES_MAX];
        let (length, _) = recv(self.0.as_fd(), &mut reason, RecvFlags::empty()).at(Step::Talk, "hear from inside")?;
        if length == 0 { Ok(()) } else { Err(LaunchError::told(&reason[..length])) }
    }
}
