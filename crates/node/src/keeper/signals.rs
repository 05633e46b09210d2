//! Signals as something to wait for: each kind arrives as a byte in a socket pair of its own.

use std::{
    io::{self, Read as _},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::Signal,
};

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    /// A child may have ended.
    Child,
    /// We are asked to end.
    Stop(Signal),
    /// Nothing came in time.
    Timeout,
}

/// The signals that matter to a keeper.
#[derive(Debug)]
pub(super) struct Signals {
    arrivals: Vec<(Wake, UnixStream)>,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        let kinds = [Wake::Stop(Signal::TERM), Wake::Stop(Signal::INT), Wake::Child];
        let arrivals = kinds.into_iter().map(|kind| Ok((kind, receive(kind)?)));
        Ok(Self { arrivals: arrivals.collect::<io::Result<_>>()? })
    }

    /// Waits for a signal; for ever without a timeout. Signals of one kind that came together are one.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Wake {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let mut polled: Vec<_> =
                self.arrivals.iter().map(|(_, stream)| PollFd::new(stream, PollFlags::IN)).collect();
            // Interrupted or not, what has arrived is looked at.
            let _ = poll(&mut polled, left.and_then(|left| Timespec::try_from(left).ok()).as_ref());
            let arrived = self.arrivals.iter().find(|(_, stream)| has_arrived(stream));
            match arrived {
                Some((kind, _)) => return *kind,
                None if left.is_some_and(|left| left.is_zero()) => return Wake::Timeout,
                None => {}
            }
        }
    }
}

fn receive(kind: Wake) -> io::Result<UnixStream> {
    let signal = match kind {
        Wake::Stop(signal) => signal.as_raw(),
        Wake::Child | Wake::Timeout => Signal::CHILD.as_raw(),
    };
    let (ours, signals) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(signal, signals)?;
    Ok(ours)
}

/// Takes everything that has arrived.
fn has_arrived(mut stream: &UnixStream) -> bool {
    let mut bytes = [0; 64];
    let mut arrived = false;
    while matches!(stream.read(&mut bytes), Ok(read) if 0 < read) {
        arrived = true;
    }
    arrived
}
