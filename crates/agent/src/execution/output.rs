//! Our end of one of the program's output streams.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    task::{Context, Poll, ready},
};

use rustix::io::Errno;
use tokio::io::{Interest, unix::AsyncFd};

use super::{Execution, Stream};
use crate::{limits, sys::watch};

/// A pipe that fills what is held of a stream.
pub(super) struct Pipe {
    stream: Stream,
    /// None: at its end.
    descriptor: Option<AsyncFd<OwnedFd>>,
    /// What may still be read once the program has ended.
    drain_bytes: usize,
}

/// What one read gave.
enum Step {
    /// All that was asked for: there may be more.
    Full,
    /// All there was.
    Empty,
    End,
}

impl Pipe {
    pub(super) fn new(stream: Stream, descriptor: OwnedFd) -> io::Result<Self> {
        let descriptor = watch(descriptor, Interest::READABLE)?;
        Ok(Self { stream, descriptor: Some(descriptor), drain_bytes: limits::DRAIN_BYTES_MAX })
    }

    /// A stream that the program does not have.
    pub(super) const fn none(stream: Stream) -> Self {
        Self { stream, descriptor: None, drain_bytes: 0 }
    }

    /// Another execution writes to it from now on.
    pub(super) const fn begin_anew(&mut self) {
        self.drain_bytes = limits::DRAIN_BYTES_MAX;
    }

    /// Takes what the program writes, as long as there is room. An acknowledgement wakes the supervisor, which
    /// comes back here.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, execution: &Execution) -> Poll<()> {
        while let Some(descriptor) = &self.descriptor {
            let room = execution.state().held(self.stream).room();
            if room == 0 {
                return Poll::Pending;
            }
            let Ok(mut ready) = ready!(descriptor.poll_read_ready(cx)) else { break };
            match read(descriptor, room, |bytes| execution.state().push(self.stream, bytes)) {
                Step::Full => {}
                // The next byte, or the end, is news that epoll tells again.
                Step::Empty => ready.clear_ready(),
                Step::End => break,
            }
        }
        self.descriptor = None;
        Poll::Ready(())
    }

    /// Takes what is in the pipe when the program has ended, without waiting for others that hold it open.
    pub(super) fn poll_drain(&mut self, execution: &Execution) -> Poll<()> {
        while let Some(descriptor) = &self.descriptor {
            let room = execution.state().held(self.stream).room().min(self.drain_bytes);
            if room == 0 {
                return if self.drain_bytes == 0 { Poll::Ready(()) } else { Poll::Pending };
            }
            let mut count = 0;
            let step = read(descriptor, room, |bytes| {
                count = bytes.len();
                execution.state().push(self.stream, bytes);
            });
            self.drain_bytes -= count;
            match step {
                Step::Full => {}
                // Whether that was the end is for later: the result need not wait for it.
                Step::Empty => return Poll::Ready(()),
                Step::End => self.descriptor = None,
            }
        }
        Poll::Ready(())
    }

    /// Reads on for nobody: processes left behind must neither block nor die of a broken pipe.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(descriptor) = &self.descriptor {
            let Ok(mut ready) = ready!(descriptor.poll_read_ready(cx)) else { break };
            match read(descriptor, limits::READ_BYTES, |_| ()) {
                Step::Full => {}
                Step::Empty => ready.clear_ready(),
                Step::End => break,
            }
        }
        self.descriptor = None;
        Poll::Ready(())
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.descriptor.is_none()
    }
}

#[allow(clippy::large_stack_arrays, reason = "the main thread has the room, and only what is read is touched")]
fn read(pipe: &AsyncFd<OwnedFd>, most: usize, mut take: impl FnMut(&[u8])) -> Step {
    let mut buffer = [MaybeUninit::<u8>::uninit(); limits::READ_BYTES];
    let asked = most.min(limits::READ_BYTES);
    match rustix::io::read(pipe.get_ref(), &mut buffer[..asked]) {
        Ok(([], _)) => Step::End,
        Ok((bytes, _)) => {
            take(bytes);
            if bytes.len() == asked { Step::Full } else { Step::Empty }
        }
        Err(Errno::AGAIN) => Step::Empty,
        Err(Errno::INTR) => Step::Full,
        Err(_) => Step::End,
    }
}
