//! The task behind a context's program: gives it one piece of code after the other, and settles what became of each.

use std::{
    collections::VecDeque,
    future::poll_fn,
    os::fd::OwnedFd,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::{io::Errno, net, process::Signal};
use tokio::{io::unix::AsyncFd, time::Instant};

use super::{Kernel, Piece};
use crate::{
    execution::{
        frames::{Broken, Frame, Frames},
        output, session,
        timeout::Timeout,
    },
    limits,
    sys::{How, Reaped},
};

pub(super) struct Task {
    kernel: Arc<Kernel>,
    socket: AsyncFd<OwnedFd>,
    stdout: output::Pipe,
    stderr: output::Pipe,
    /// Of the code that runs.
    unsent: VecDeque<u8>,
    frames: Frames,
    current: Option<Current>,
}

struct Current {
    piece: Piece,
    /// It has been interrupted, and is killed when this has passed.
    mercy: Option<Timeout>,
    /// What it said of its end; its last output is still read.
    end: Option<Reaped>,
}

impl Task {
    pub(super) fn new(kernel: Arc<Kernel>, socket: AsyncFd<OwnedFd>, [stdout, stderr]: [output::Pipe; 2]) -> Self {
        Self { kernel, socket, stdout, stderr, unsent: VecDeque::new(), frames: Frames::default(), current: None }
    }

    pub(super) async fn run(mut self) {
        let how = poll_fn(|cx| self.poll(cx)).await;
        let kernel = Arc::clone(&self.kernel);
        let end = |how| Reaped { pid: kernel.pid, how, cpu: Duration::ZERO, memory_peak_bytes: 0 };
        if let Some(mut current) = self.current.take() {
            current.end.get_or_insert_with(|| end(how));
            poll_fn(|_| self.poll_end(&current)).await;
        }
        let waiting = std::mem::take(&mut self.kernel.state().waiting);
        for piece in waiting {
            piece.execution.process_ended(&end(How::Signaled(Signal::KILL.as_raw())));
            piece.execution.state().end();
        }
    }

    /// Until the process has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<How> {
        loop {
            if let Some(how) = self.look(cx) {
                return Poll::Ready(how);
            }
            self.begin();
            self.send(cx);
            if self.receive(cx).is_err() {
                // It is of no more use.
                self.kernel.kill();
            }
            self.mind_timeouts(cx);
            self.read(cx);
            let Some(current) = self.current.take_if(|current| current.end.is_some()) else { return Poll::Pending };
            if self.poll_end(&current).is_pending() {
                self.current = Some(current);
                return Poll::Pending;
            }
            self.kernel.state().is_busy = false;
        }
    }

    fn look(&self, cx: &Context<'_>) -> Option<How> {
        let mut state = self.kernel.state();
        match &state.task {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => state.task = Some(cx.waker().clone()),
        }
        state.over
    }

    /// The next piece, if it has none.
    fn begin(&mut self) {
        if self.current.is_some() {
            return;
        }
        let mut state = self.kernel.state();
        let Some(piece) = state.waiting.pop_front() else { return };
        state.is_busy = true;
        drop(state);
        {
            let mut execution = piece.execution.state();
            execution.waits = false;
            // An acknowledgement makes room for more output.
            execution.supervisor.clone_from(&self.kernel.state().task);
        }
        self.unsent.extend(format!("{}\n", piece.code.len()).as_bytes());
        self.unsent.extend(&piece.code);
        self.stdout.begin_anew();
        self.stderr.begin_anew();
        self.current = Some(Current { piece, mercy: None, end: None });
    }

    fn send(&mut self, cx: &mut Context<'_>) {
        while !self.unsent.is_empty() {
            let Poll::Ready(Ok(mut ready)) = self.socket.poll_write_ready(cx) else { return };
            match net::send(self.socket.get_ref(), self.unsent.as_slices().0, net::SendFlags::NOSIGNAL) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                // The other direction tells.
                Err(_) => self.unsent.clear(),
            }
        }
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        loop {
            let Poll::Ready(ready) = self.socket.poll_read_ready(cx) else { return Ok(()) };
            let mut ready = ready.map_err(|_| Broken)?;
            let mut buffer = [0; limits::RESULT_READ_BYTES];
            match rustix::io::read(self.socket.get_ref(), &mut buffer) {
                Ok(0) => return Err(Broken),
                Ok(count) => {
                    for frame in self.frames.take(&buffer[..count])? {
                        self.heed(frame)?;
                    }
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(_) => return Err(Broken),
            }
        }
    }

    fn heed(&mut self, frame: Frame) -> Result<(), Broken> {
        // Only of what it was given.
        let current = self.current.as_mut().filter(|current| current.end.is_none()).ok_or(Broken)?;
        let mut state = current.piece.execution.state();
        match frame {
            Frame::Result(result) => state.results.push(result),
            Frame::TooLarge => state.results.truncate(),
            Frame::End { exit_code, cpu, memory_peak_bytes } => {
                let how = How::Exited(exit_code);
                current.end = Some(Reaped { pid: self.kernel.pid, how, cpu, memory_peak_bytes });
            }
        }
        Ok(())
    }

    fn mind_timeouts(&mut self, cx: &mut Context<'_>) {
        if let Some(current) = &mut self.current
            && current.end.is_none()
        {
            current.mind_timeout(cx, &self.kernel);
        }
        let mut state = self.kernel.state();
        state.waiting.retain_mut(|piece| {
            let is_over = piece.timeout.poll_passed(cx, piece.watched.beat()).is_ready();
            if is_over {
                let how = How::Signaled(Signal::KILL.as_raw());
                piece.execution.state().is_timed_out = true;
                let end = Reaped { pid: self.kernel.pid, how, cpu: Duration::ZERO, memory_peak_bytes: 0 };
                piece.execution.process_ended(&end);
                piece.execution.state().end();
            }
            !is_over
        });
    }

    fn read(&mut self, cx: &mut Context<'_>) {
        // Ready or not: the end of a stream is not the end of the program.
        let _ = match &self.current {
            Some(current) => {
                let execution = &current.piece.execution;
                [self.stdout.poll_fill(cx, execution), self.stderr.poll_fill(cx, execution)]
            }
            // What others write between two pieces is nobody's.
            None => [self.stdout.poll_discard(cx), self.stderr.poll_discard(cx)],
        };
    }

    /// Takes the last output; what it had no room for comes with an acknowledgement.
    fn poll_end(&mut self, current: &Current) -> Poll<()> {
        let execution = &current.piece.execution;
        let stdout = self.stdout.poll_drain(execution);
        let stderr = self.stderr.poll_drain(execution);
        ready!(stdout);
        ready!(stderr);
        if let Some(end) = &current.end {
            execution.process_ended(end);
        }
        execution.state().end();
        Poll::Ready(())
    }
}

impl Current {
    /// First a word, then force.
    fn mind_timeout(&mut self, cx: &mut Context<'_>, kernel: &Kernel) {
        if self.piece.timeout.poll_passed(cx, self.piece.watched.beat()).is_ready() {
            self.piece.execution.state().is_timed_out = true;
            session::signal_group(kernel.pid, Signal::INT);
            let mercy = u64::try_from(limits::CONTEXT_MERCY.as_millis()).unwrap_or(u64::MAX);
            self.mercy = Some(Timeout::new(Instant::now(), mercy));
        }
        if let Some(mercy) = &mut self.mercy
            && mercy.poll_passed(cx, self.piece.watched.beat()).is_ready()
        {
            kernel.kill();
        }
    }
}
