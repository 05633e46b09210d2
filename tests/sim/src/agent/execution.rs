//! One simulated program: what it has written, what of that is held, and how it ended. It lives on without a connection.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream, stream::BoxStream};
use sentinal_agent_protocol::{
    CHUNK_BYTES, OUTPUT_HELD_BYTES,
    v1::{self, ended::How, execution_event::Event},
};
use sentinal_model::{ExecutionOutcome, SandboxId, Stream};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tonic::Status;

use crate::{machine::Machine, program::Program};

/// Pieces in which a program writes.
const PIECES: u32 = 3;
/// As the real agent has it.
const FIRST_ANSWER_HOLD: Duration = Duration::from_millis(10);

pub(crate) type Events = BoxStream<'static, Result<v1::ExecutionEvent, Status>>;

/// One program.
#[derive(Debug)]
pub(crate) struct Execution {
    program: Program,
    machine: Arc<Machine>,
    sandbox: SandboxId,
    progress: watch::Sender<Progress>,
    /// A signal that ends it.
    killed: watch::Sender<Option<i32>>,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    written: [u64; 2],
    acknowledged: [u64; 2],
    ended: Option<v1::Ended>,
}

impl Execution {
    pub(crate) fn new(program: Program, machine: Arc<Machine>, sandbox: SandboxId) -> Self {
        Self { program, machine, sandbox, progress: watch::Sender::default(), killed: watch::Sender::default() }
    }

    /// Runs the program, and answers how it ended and what it wrote.
    pub(crate) async fn run(&self, limit: Duration) -> (ExecutionOutcome, [u64; 2]) {
        let began = Instant::now();
        let mut killed = self.killed.subscribe();
        let outcome = tokio::select! {
            biased;
            written = timeout(limit, self.write()) => match written {
                Ok(()) => ExecutionOutcome::Exited(self.program.exit_code),
                Err(_) => ExecutionOutcome::Timeout,
            },
            signal = killed.wait_for(Option::is_some) => {
                ExecutionOutcome::Signaled(signal.ok().and_then(|signal| *signal).unwrap_or_default())
            }
        };
        self.machine.moves(&self.sandbox).await;
        let how = match outcome {
            ExecutionOutcome::Exited(code) => How::ExitCode(code),
            ExecutionOutcome::Signaled(signal) => How::Signal(signal),
            ExecutionOutcome::Timeout | ExecutionOutcome::Oom | ExecutionOutcome::Killed => How::TimedOut(true),
        };
        let written = self.progress.borrow().written;
        let ended = v1::Ended {
            how: Some(how),
            duration_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            cpu_us: 1,
            memory_peak_bytes: 1,
            stdout_bytes: written[0],
            stderr_bytes: written[1],
            ..v1::Ended::default()
        };
        self.progress.send_modify(|progress| progress.ended = Some(ended));
        (outcome, written)
    }

    async fn write(&self) {
        let runs = self.program.runs.unwrap_or(Duration::from_secs(20));
        for piece in 1..=PIECES {
            sleep(runs / PIECES).await;
            self.machine.moves(&self.sandbox).await;
            for stream in Stream::ALL {
                let end = self.program.length(stream) * u64::from(piece) / u64::from(PIECES);
                self.write_until(stream, end).await;
            }
        }
        if self.program.runs.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// A program whose output nobody takes waits.
    async fn write_until(&self, stream: Stream, end: u64) {
        let mut progress = self.progress.subscribe();
        let index = index(stream);
        loop {
            let now = progress.borrow_and_update().clone();
            let fits = now.acknowledged[index] + held_max();
            let to = end.min(fits);
            if now.written[index] < to {
                self.progress.send_modify(|progress| progress.written[index] = to);
            }
            if end <= to {
                return;
            }
            // Not an error: `self` holds the sender.
            let _ = progress.changed().await;
        }
    }

    pub(crate) fn acknowledge(&self, offsets: [u64; 2]) {
        self.progress.send_modify(|progress| {
            for (index, offset) in offsets.into_iter().enumerate() {
                let offset = offset.min(progress.written[index]);
                progress.acknowledged[index] = progress.acknowledged[index].max(offset);
            }
        });
    }

    /// Ends it, unless it has ended.
    pub(crate) fn kill(&self, signal: i32) -> bool {
        let runs = !self.has_ended();
        if runs {
            self.killed.send_replace(Some(signal));
        }
        runs
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.progress.borrow().ended.is_some()
    }

    pub(crate) fn describe(&self, id: String) -> v1::Execution {
        let progress = self.progress.borrow().clone();
        v1::Execution {
            execution_id: id,
            ended: progress.ended.is_some(),
            stdout_bytes: progress.written[0],
            stderr_bytes: progress.written[1],
        }
    }

    /// Waits a moment for the end, so that a short program is answered in one go.
    pub(crate) async fn hold(&self) {
        let mut progress = self.progress.subscribe();
        // Held long enough: what there is goes out, and the rest follows.
        let _ = timeout(FIRST_ANSWER_HOLD, progress.wait_for(|progress| progress.ended.is_some())).await;
    }

    /// Its events from these offsets on.
    pub(crate) fn events(self: &Arc<Self>, offsets: [u64; 2]) -> Events {
        let follower = Follower {
            progress: self.progress.subscribe(),
            execution: Arc::clone(self),
            offsets,
            stage: Stage::Starting,
        };
        let events = stream::unfold(follower, |mut follower| async move {
            let event = follower.next().await?;
            Some((Ok(v1::ExecutionEvent { event: Some(event) }), follower))
        });
        events.boxed()
    }
}

struct Follower {
    execution: Arc<Execution>,
    progress: watch::Receiver<Progress>,
    offsets: [u64; 2],
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    Starting,
    Running,
    Over,
}

impl Follower {
    async fn next(&mut self) -> Option<Event> {
        match self.stage {
            Stage::Starting => {
                self.stage = Stage::Running;
                return Some(Event::Started(v1::Started { pid: 2 }));
            }
            Stage::Running => {}
            Stage::Over => return None,
        }
        loop {
            let progress = self.progress.borrow_and_update().clone();
            if let Some(output) = Stream::ALL.into_iter().find_map(|stream| self.output(stream, &progress)) {
                return Some(Event::Output(output));
            }
            if let Some(ended) = progress.ended {
                self.stage = Stage::Over;
                return Some(Event::Ended(ended));
            }
            self.progress.changed().await.ok()?;
        }
    }

    fn output(&mut self, stream: Stream, progress: &Progress) -> Option<v1::Output> {
        let index = index(stream);
        let from = self.offsets[index].max(progress.acknowledged[index]);
        let chunk = u64::try_from(CHUNK_BYTES).unwrap_or(u64::MAX);
        let to = progress.written[index].min(from.saturating_add(chunk));
        if to <= from {
            return None;
        }
        self.offsets[index] = to;
        let wire = match stream {
            Stream::Stdout => v1::OutputStream::Stdout,
            Stream::Stderr => v1::OutputStream::Stderr,
        };
        Some(v1::Output { stream: wire.into(), offset: from, data: self.execution.program.output(stream, from, to) })
    }
}

pub(crate) const fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

fn held_max() -> u64 {
    u64::try_from(OUTPUT_HELD_BYTES).unwrap_or(u64::MAX)
}
