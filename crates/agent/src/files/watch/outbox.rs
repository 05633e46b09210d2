//! What is to be told of a folder, until it is taken. The kernel is read whether somebody takes it or not - not every
//! kernel bounds what it holds - so that here is the bound, and what is lost beyond it is said.

use std::{collections::VecDeque, ops::ControlFlow};

use sentinal_agent_protocol::v1::{FileChange, FileEvent, WatchResponse};

use crate::{
    files::outgoing::{NotSent, Sender},
    limits,
};

/// What an event takes beside its paths.
const EVENT_OVERHEAD_BYTES: usize = 64;

#[derive(Default)]
pub(super) struct Outbox {
    events: VecDeque<FileEvent>,
    bytes: usize,
    /// Nothing more is held until all that was before has been taken.
    has_lost: bool,
}

impl Outbox {
    /// Whether somebody has to take what is here.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The same twice in a row is once.
    pub(super) fn add(&mut self, event: FileEvent) {
        if self.has_lost || self.events.back() == Some(&event) {
            return;
        }
        if limits::WATCH_HELD_BYTES_MAX < self.bytes {
            return self.has_lost = true;
        }
        self.bytes += size(&event);
        self.events.push_back(event);
    }

    /// Hands over as much as is taken at once; broken off when nobody is there, or nothing follows.
    pub(super) fn hand_over(&mut self, sender: &Sender<WatchResponse>, is_last: bool) -> ControlFlow<()> {
        loop {
            if self.events.is_empty() && std::mem::take(&mut self.has_lost) {
                self.add(FileEvent { change: FileChange::Overflow.into(), ..FileEvent::default() });
            }
            let count = self.events.len().min(limits::WATCH_EVENTS_AT_ONCE);
            let end = is_last && count == self.events.len() && !self.has_lost;
            if count == 0 && !end {
                return ControlFlow::Continue(());
            }
            let events: Vec<_> = self.events.drain(..count).collect();
            match sender.try_send(WatchResponse { events, end }) {
                Ok(()) if end => return ControlFlow::Break(()),
                Ok(()) => self.bytes = self.events.iter().map(size).sum(),
                Err(NotSent::Gone) => return ControlFlow::Break(()),
                Err(NotSent::Full(unsent)) => {
                    unsent.events.into_iter().rev().for_each(|event| self.events.push_front(event));
                    return ControlFlow::Continue(());
                }
            }
        }
    }
}

fn size(event: &FileEvent) -> usize {
    event.path.len() + event.from.len() + EVENT_OVERHEAD_BYTES
}
