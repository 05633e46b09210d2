//! Standard input: what waits for the program, and the pipe to it.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, OwnedFd},
    task::{Context, Poll, ready},
};

use rustix::io::Errno;
use tokio::io::{Interest, unix::AsyncFd};
use tonic::Status;

use super::{Execution, State};
use crate::{limits::STDIN_QUEUE_BYTES, sys::watch};

/// Bytes accepted and not yet given to the program.
#[derive(Debug)]
pub(super) struct Queue {
    /// Offset after the last accepted byte.
    accepted: u64,
    bytes: VecDeque<u8>,
    /// Nothing follows.
    is_ended: bool,
    /// Nobody reads any more: what comes is dropped.
    is_gone: bool,
}

/// What became of bytes that were offered.
#[derive(Debug, PartialEq, Eq)]
enum Offer {
    /// Up to and including the offset before this one.
    Taken(u64),
    /// Full.
    Wait,
}

impl Default for Queue {
    fn default() -> Self {
        Self::closed()
    }
}

impl Queue {
    pub(super) fn closed() -> Self {
        Self { accepted: 0, bytes: VecDeque::new(), is_ended: true, is_gone: true }
    }

    /// `first` may be larger than what is taken later: it is here already.
    pub(super) fn new(first: Vec<u8>, is_open: bool) -> Self {
        Self { accepted: first.len() as u64, bytes: first.into(), is_ended: !is_open, is_gone: false }
    }

    fn offer(&mut self, offset: u64, data: &[u8]) -> Result<Offer, Status> {
        let Some(known) = self.accepted.checked_sub(offset) else {
            return Err(Status::out_of_range(format!("standard input continues at offset {}", self.accepted)));
        };
        let fresh = usize::try_from(known).ok().and_then(|known| data.get(known..)).unwrap_or_default();
        if fresh.is_empty() {
            return Ok(Offer::Taken(self.accepted));
        }
        Ok(if self.take(fresh)? == 0 { Offer::Wait } else { Offer::Taken(self.accepted) })
    }

    /// Takes what there is room for, and says how much that was.
    fn take(&mut self, data: &[u8]) -> Result<usize, Status> {
        if self.is_ended {
            return Err(Status::failed_precondition("standard input is closed"));
        }
        let room = if self.is_gone { data.len() } else { STDIN_QUEUE_BYTES.saturating_sub(self.bytes.len()) };
        let taken = &data[..room.min(data.len())];
        if !self.is_gone {
            self.bytes.extend(taken);
        }
        self.accepted += taken.len() as u64;
        Ok(taken.len())
    }

    fn given(&self) -> u64 {
        self.accepted - self.bytes.len() as u64
    }

    fn abandon(&mut self) {
        self.is_gone = true;
        self.bytes = VecDeque::new();
    }
}

impl Execution {
    /// Takes bytes that begin at the offset, at the program's pace.
    pub(crate) async fn feed(&self, offset: u64, data: &[u8]) -> Result<(), Status> {
        let end = offset
            .checked_add(data.len() as u64)
            .ok_or_else(|| Status::invalid_argument("the offset of standard input is too large"))?;
        loop {
            let moved = self.stdin_moved.notified();
            let offer = {
                let mut state = self.state();
                let offer = state.stdin.offer(offset, data)?;
                state.wake_supervisor();
                offer
            };
            match offer {
                Offer::Taken(accepted) if end <= accepted => return Ok(()),
                Offer::Taken(_) => {}
                Offer::Wait => moved.await,
            }
        }
    }

    /// Takes bytes after all that was accepted before.
    pub(crate) async fn feed_on(&self, mut data: &[u8]) -> Result<(), Status> {
        while !data.is_empty() {
            let moved = self.stdin_moved.notified();
            let taken = {
                let mut state = self.state();
                let taken = state.stdin.take(data)?;
                state.wake_supervisor();
                taken
            };
            data = &data[taken..];
            if taken == 0 {
                moved.await;
            }
        }
        Ok(())
    }

    /// Nothing follows what was accepted.
    pub(crate) fn end_stdin(&self) {
        let mut state = self.state();
        state.stdin.is_ended = true;
        state.wake_supervisor();
    }

    /// Waits until the program has been given all that was accepted, and says how much.
    pub(crate) async fn stdin_given(&self) -> u64 {
        loop {
            let moved = self.stdin_moved.notified();
            {
                let state = self.state();
                if state.stdin.bytes.is_empty() {
                    return state.stdin.given();
                }
            }
            moved.await;
        }
    }

    /// Nobody reads it any more.
    pub(super) fn abandon_stdin(&self) {
        self.state().stdin.abandon();
        self.stdin_moved.notify_waiters();
    }
}

/// Our end of the program's standard input.
pub(super) enum Pipe {
    /// Most input fits into the pipe at once, and then nobody needs to know when there is room again.
    Unwatched(OwnedFd),
    Watched(AsyncFd<OwnedFd>),
}

impl Pipe {
    /// Gives the program what it takes. Ready: closed, or nobody reads.
    pub(super) fn poll_give(&mut self, cx: &mut Context<'_>, execution: &Execution) -> Poll<()> {
        loop {
            if let Self::Watched(pipe) = self
                && ready!(pipe.poll_write_ready(cx)).is_err()
            {
                return Poll::Ready(());
            }
            let written = {
                let state = execution.state();
                if state.stdin.bytes.is_empty() {
                    return if state.stdin.is_ended { Poll::Ready(()) } else { Poll::Pending };
                }
                rustix::io::write(self.descriptor(), state.stdin.bytes.as_slices().0)
            };
            match written {
                Ok(count) => {
                    given(&mut execution.state(), count);
                    execution.stdin_moved.notify_waiters();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.wait_for_room(cx).is_ok() => {}
                Err(_) => return Poll::Ready(()),
            }
        }
    }

    fn descriptor(&self) -> impl AsFd + '_ {
        match self {
            Self::Unwatched(pipe) => pipe.as_fd(),
            Self::Watched(pipe) => pipe.get_ref().as_fd(),
        }
    }

    /// The pipe is full: asks to be told when it is not.
    fn wait_for_room(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self {
            Self::Unwatched(pipe) => {
                *self = Self::Watched(watch(pipe.try_clone()?, Interest::WRITABLE)?);
            }
            Self::Watched(pipe) => {
                if let Poll::Ready(ready) = pipe.poll_write_ready(cx) {
                    ready?.clear_ready();
                }
            }
        }
        Ok(())
    }
}

fn given(state: &mut State, count: usize) {
    let queue = &mut state.stdin.bytes;
    queue.drain(..count.min(queue.len()));
    if queue.is_empty() {
        *queue = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_chunk_is_taken_once() {
        let mut queue = Queue::new(b"abc".to_vec(), true);
        assert_eq!(queue.offer(0, b"abcd").unwrap(), Offer::Taken(4));
        assert_eq!(queue.offer(2, b"cd").unwrap(), Offer::Taken(4));
        assert_eq!(queue.bytes, b"abcd");
    }

    #[test]
    fn a_gap_is_refused() {
        let mut queue = Queue::new(vec![], true);
        assert_eq!(queue.offer(1, b"x").unwrap_err().code(), tonic::Code::OutOfRange);
        assert_eq!(queue.offer(u64::MAX, b"x").unwrap_err().code(), tonic::Code::OutOfRange);
    }

    #[test]
    fn a_full_queue_takes_a_part_and_then_nothing() {
        let mut queue = Queue::new(vec![0; STDIN_QUEUE_BYTES - 1], true);
        let offset = queue.accepted;
        assert_eq!(queue.offer(offset, b"xy").unwrap(), Offer::Taken(offset + 1));
        assert_eq!(queue.offer(offset, b"xy").unwrap(), Offer::Wait);
        queue.abandon();
        assert_eq!(queue.offer(offset, b"xy").unwrap(), Offer::Taken(offset + 2));
    }
}
