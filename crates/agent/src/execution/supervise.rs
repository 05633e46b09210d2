//! The task behind one execution: moves its streams, minds its timeout, and settles its result.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::timeout;

use super::{
    Execution,
    launch::{Ours, Watched},
    timeout::Timeout,
};
use crate::{heart::Beat, limits};

pub(super) struct Supervisor {
    execution: Arc<Execution>,
    pipes: Ours,
    is_on_terminal: bool,
    timeout: Timeout,
}

impl Supervisor {
    /// `timeout_ms` 0: none.
    pub(super) fn new(execution: Arc<Execution>, pipes: Ours, timeout_ms: u64) -> Self {
        let timeout = Timeout::new(execution.started, timeout_ms);
        let is_on_terminal = execution.state().terminal.is_some();
        Self { execution, pipes, is_on_terminal, timeout }
    }

    /// `watched`: the sandbox is in use until the process has ended. Output that nobody fetches does not count.
    pub(super) async fn run(mut self, watched: Watched) {
        poll_fn(|cx| self.poll_process(cx, watched.beat())).await;
        drop(watched);
        self.pipes.stdin = None;
        self.execution.abandon_stdin();
        if self.is_on_terminal {
            // The last of it may still be on its way through the kernel; others may hold the terminal open for long.
            let written = poll_fn(|cx| self.pipes.stdout.poll_fill(cx, &self.execution));
            let _ = timeout(limits::TERMINAL_DRAIN, written).await;
        }
        poll_fn(|cx| self.poll_drain(cx)).await;
        self.execution.state().end();
        // From here on the execution may be forgotten; what its pipes need is bounded by open files.
        let Self { execution, mut pipes, is_on_terminal, .. } = self;
        drop(execution);
        // A terminal is gone with the program that it was for, and others on it are told by SIGHUP.
        if !(is_on_terminal || pipes.stdout.is_at_end() && pipes.stderr.is_at_end()) {
            poll_fn(|cx| poll_discard(&mut pipes, cx)).await;
        }
    }

    /// Until the process has ended.
    fn poll_process(&mut self, cx: &mut Context<'_>, beat: &Beat) -> Poll<()> {
        if self.is_over(cx) {
            return Poll::Ready(());
        }
        self.mind_timeout(cx, beat);
        if let Some(stdin) = &mut self.pipes.stdin
            && stdin.poll_give(cx, &self.execution).is_ready()
        {
            self.pipes.stdin = None;
            self.execution.abandon_stdin();
        }
        // Ready or not: the end of a stream is not the end of the program.
        let _ = self.pipes.stdout.poll_fill(cx, &self.execution);
        let _ = self.pipes.stderr.poll_fill(cx, &self.execution);
        Poll::Pending
    }

    fn is_over(&self, cx: &Context<'_>) -> bool {
        let mut state = self.execution.state();
        match &state.supervisor {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => state.supervisor = Some(cx.waker().clone()),
        }
        state.is_over()
    }

    fn mind_timeout(&mut self, cx: &mut Context<'_>, beat: &Beat) {
        if self.timeout.poll_passed(cx, beat).is_ready() {
            self.execution.state().is_timed_out = true;
            self.execution.kill();
        }
    }

    /// Until the output is complete. When it does not fit, an acknowledgement makes room and wakes us.
    fn poll_drain(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.is_over(cx);
        let stdout = self.pipes.stdout.poll_drain(&self.execution);
        let stderr = self.pipes.stderr.poll_drain(&self.execution);
        if stdout.is_ready() && stderr.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn poll_discard(pipes: &mut Ours, cx: &mut Context<'_>) -> Poll<()> {
    let stdout = pipes.stdout.poll_discard(cx);
    let stderr = pipes.stderr.poll_discard(cx);
    if stdout.is_ready() && stderr.is_ready() { Poll::Ready(()) } else { Poll::Pending }
}
