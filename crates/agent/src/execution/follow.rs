//! Following an execution: its events from given offsets on.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use sentinal_agent_protocol::{
    CHUNK_BYTES,
    v1::{self, execution_event::Event},
};
use tonic::Status;

use super::{Execution, State, Stream};
use crate::limits;

/// Output that is worth an answer before the end of the program.
const WORTHWHILE_BYTES: u64 = 32 * 1024;

/// Those who wait for news of an execution.
#[derive(Default)]
pub(super) struct Watchers {
    next: u64,
    waiting: Vec<(u64, Option<Waker>)>,
}

impl Watchers {
    fn enter(&mut self) -> Option<u64> {
        if limits::FOLLOWERS_MAX <= self.waiting.len() {
            return None;
        }
        let number = self.next;
        self.next += 1;
        self.waiting.push((number, None));
        Some(number)
    }

    fn wait(&mut self, number: u64, cx: &Context<'_>) {
        if let Some((_, waker)) = self.waiting.iter_mut().find(|(known, _)| *known == number) {
            *waker = Some(cx.waker().clone());
        }
    }

    fn leave(&mut self, number: u64) {
        self.waiting.retain(|(known, _)| *known != number);
    }

    pub(super) fn wake(&mut self) {
        self.waiting.iter_mut().filter_map(|(_, waker)| waker.take()).for_each(Waker::wake);
    }
}

/// A stream of events: started, then output as it comes, then the end.
pub(crate) struct Follower {
    execution: Arc<Execution>,
    number: u64,
    stdout: u64,
    stderr: u64,
    /// Which stream is looked at first, so that one cannot starve the other.
    first: Stream,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    Starting,
    Running,
    Over,
}

impl Follower {
    pub(crate) fn new(execution: Arc<Execution>, stdout: u64, stderr: u64) -> Result<Self, Status> {
        let number = execution.state().watchers.enter().ok_or_else(|| {
            Status::resource_exhausted(format!("{} others follow this execution already", limits::FOLLOWERS_MAX))
        })?;
        Ok(Self { execution, number, stdout, stderr, first: Stream::Stdout, stage: Stage::Starting })
    }

    /// Waits a moment for the program to end, so that a short one is answered in one go.
    pub(crate) async fn hold(&self) {
        let settled = poll_fn(|cx| {
            let mut state = self.execution.state();
            if state.ended.is_some() || WORTHWHILE_BYTES <= state.stdout.end() + state.stderr.end() {
                return Poll::Ready(());
            }
            state.watchers.wait(self.number, cx);
            Poll::Pending
        });
        // Held long enough: what there is goes out, and the rest follows.
        let _ = tokio::time::timeout(limits::FIRST_ANSWER_HOLD, settled).await;
    }

    fn next_event(&mut self, state: &mut State) -> Option<Event> {
        match self.stage {
            Stage::Starting => {
                self.stage = Stage::Running;
                Some(Event::Started(v1::Started { pid: self.execution.pid.unsigned_abs() }))
            }
            Stage::Running => {
                let output = self.output(state, self.first).or_else(|| self.output(state, self.first.other()));
                output.or_else(|| {
                    let ended = state.ended.clone()?;
                    self.stage = Stage::Over;
                    Some(Event::Ended(ended))
                })
            }
            Stage::Over => None,
        }
    }

    fn output(&mut self, state: &mut State, stream: Stream) -> Option<Event> {
        let position = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let (offset, data) = state.held(stream).copy(*position, CHUNK_BYTES)?;
        *position = offset + data.len() as u64;
        self.first = stream.other();
        Some(Event::Output(v1::Output { stream: v1::OutputStream::from(stream).into(), offset, data }))
    }
}

impl futures::Stream for Follower {
    type Item = Result<v1::ExecutionEvent, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let follower = self.get_mut();
        let execution = Arc::clone(&follower.execution);
        let mut state = execution.state();
        if let Some(event) = follower.next_event(&mut state) {
            return Poll::Ready(Some(Ok(v1::ExecutionEvent { event: Some(event) })));
        }
        if matches!(follower.stage, Stage::Over) {
            return Poll::Ready(None);
        }
        state.watchers.wait(follower.number, cx);
        Poll::Pending
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.execution.state().watchers.leave(self.number);
    }
}

impl Stream {
    fn other(self) -> Self {
        match self {
            Self::Stdout => Self::Stderr,
            Self::Stderr => Self::Stdout,
        }
    }
}
