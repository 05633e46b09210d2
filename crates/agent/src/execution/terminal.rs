//! The terminal that an execution may run on: its size, and both of its ends.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags},
    process::Signal,
    pty::OpenptFlags,
    termios::Winsize,
};
use sentinal_agent_protocol::v1::TerminalSize;
use tonic::Status;

use super::{Execution, session};

/// A terminal that nobody uses yet.
pub(super) struct Terminal {
    pub(super) theirs: OwnedFd,
    /// Does not block.
    pub(super) ours: OwnedFd,
}

impl Terminal {
    pub(super) fn open(size: Winsize) -> io::Result<Self> {
        let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&ours)?;
        rustix::pty::unlockpt(&ours)?;
        let path = rustix::pty::ptsname(&ours, Vec::new())?;
        let theirs = rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::termios::tcsetwinsize(&ours, size)?;
        rustix::fs::fcntl_setfl(&ours, OFlags::RDWR | OFlags::NONBLOCK)?;
        Ok(Self { theirs, ours })
    }
}

/// A size as the kernel wants it.
pub(super) fn winsize(size: TerminalSize) -> Result<Winsize, Status> {
    let characters = |name: &str, count: u32| {
        let count = u16::try_from(count).ok().filter(|count| *count != 0);
        count.ok_or_else(|| Status::invalid_argument(format!("a terminal has between 1 and {} {name}", u16::MAX)))
    };
    Ok(Winsize {
        ws_col: characters("columns", size.columns)?,
        ws_row: characters("rows", size.rows)?,
        ws_xpixel: 0,
        ws_ypixel: 0,
    })
}

impl Execution {
    /// Another size; the program is told by SIGWINCH.
    pub(crate) fn resize(&self, size: TerminalSize) -> Result<(), Status> {
        let size = winsize(size)?;
        let state = self.state();
        if state.is_over() {
            return Err(Status::failed_precondition("the process has ended"));
        }
        let terminal = state.terminal.as_ref();
        let terminal = terminal.ok_or_else(|| Status::failed_precondition("the execution has no terminal"))?;
        rustix::termios::tcsetwinsize(terminal.as_fd(), size)
            .map_err(|errno| Status::internal(format!("the terminal took no size: {errno}")))?;
        // Not every kernel does that: gVisor's does not. Once more is once too often for nobody.
        let foreground = rustix::termios::tcgetpgrp(terminal.as_fd()).map(|group| group.as_raw_nonzero().get());
        session::signal_group(foreground.unwrap_or(self.pid), Signal::WINCH);
        Ok(())
    }
}
