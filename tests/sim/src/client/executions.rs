//! Executions, and what must be true of each answer about them.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use sentinal_auth::{CreateSandbox, Execute, ReadExecution};
use sentinal_controller::{
    Controller, Execution, ExecutionRecord, ExecutionState, NewExecution, OutputEvent, OutputPart,
};
use sentinal_model::{ExecutionId, SandboxId, Stream};

use super::{Client, PATIENCE};
use crate::{permits::permit, program::Program, wish::any_sandbox};

/// How long programs may run.
const TIMEOUT: Duration = Duration::from_secs(40);
const TIMEOUT_SHORT: Duration = Duration::from_secs(3);

impl Client {
    fn new_execution(&self) -> NewExecution {
        let world = &self.site.world;
        let timeout = if world.chance(2000) { TIMEOUT_SHORT } else { TIMEOUT };
        let wait = if world.chance(2000) { Duration::ZERO } else { Duration::from_secs(30) };
        NewExecution { command: Program::random(world).command(timeout), wait, once: None }
    }

    /// To its end.
    pub(super) async fn execute(&self, sandbox: SandboxId) {
        if let Some(execution) = self.begin(sandbox).await {
            match self.site.world.pick(0..3) {
                0 => self.follow(execution.id).await,
                _ => self.finish(execution.id).await,
            }
        }
    }

    /// Left to itself.
    pub(super) async fn start(&self, sandbox: SandboxId) {
        self.begin(sandbox).await;
    }

    async fn begin(&self, sandbox: SandboxId) -> Option<Execution> {
        let new = self.new_execution();
        let bound = new.wait + new.command.timeout + PATIENCE;
        let execute = |controller: Controller, once| {
            let (permit, new) =
                (permit::<Execute>(), NewExecution { command: new.command.clone(), wait: new.wait, once });
            async move { controller.execute(&permit, sandbox, new).await }
        };
        let execution = self.ask_once("execute", bound, execute, |execution| execution.id.to_string()).await?;
        self.acknowledged(&execution);
        Some(execution)
    }

    pub(super) async fn once(&self) {
        let (spec, new) = (any_sandbox(&self.site.world), self.new_execution());
        let bound = new.wait + new.command.timeout + PATIENCE;
        let once = |controller: Controller, once| {
            let (execute, create, spec) = (permit::<Execute>(), permit::<CreateSandbox>(), spec.clone());
            let new = NewExecution { command: new.command.clone(), wait: new.wait, once };
            async move { controller.execute_once(&execute, &create, spec, new).await }
        };
        if let Some(execution) = self.ask_once("execute once", bound, once, |execution| execution.id.to_string()).await
        {
            self.got(execution.sandbox);
            self.acknowledged(&execution);
            self.finish(execution.id).await;
        }
    }

    /// An acknowledged execution is in the store.
    fn acknowledged(&self, execution: &Execution) {
        self.site.world.tell(format_args!("client {}: has {}", self.number, execution.id));
        self.site.journal.execution(execution.id, |_| {});
        let there = self.site.ledger.find_execution(&execution.id).is_some();
        if !there && !self.site.ledger.was_removed(&execution.sandbox) {
            self.site.world.wrong(format_args!("{} was acknowledged, and there is no row of it", execution.id));
        }
    }

    /// Waits for the end, then reads all output.
    async fn finish(&self, id: ExecutionId) {
        let permit = permit::<ReadExecution>();
        let finished = |controller: Controller| async move { controller.finished(&permit, id).await };
        if let Some(Ok(record)) = self.ask("finished", TIMEOUT + PATIENCE, finished).await {
            self.finished(&record);
            self.read(&record).await;
        }
    }

    fn finished(&self, record: &ExecutionRecord) {
        if record.state == ExecutionState::Running {
            return;
        }
        self.site.journal.execution(record.id, |promise| promise.finished = Some(record.clone()));
        let stored = self.site.ledger.find_execution(&record.id);
        if stored.is_some_and(|stored| stored.state != record.state) {
            self.site.world.wrong(format_args!("{} was told otherwise than the store has it", record.id));
        }
    }

    /// The output of a finished execution from anywhere is what the program wrote.
    pub(crate) async fn read(&self, record: &ExecutionRecord) {
        let ExecutionState::Finished { stdout, stderr, .. } = &record.state else { return };
        for (stream, output) in [(Stream::Stdout, stdout), (Stream::Stderr, stderr)] {
            let offset = self.site.world.pick(0..=output.bytes_stored);
            let part = OutputPart { stream, offset, bytes_max: u64::MAX };
            let permit = permit::<ReadExecution>();
            let id = record.id;
            let read = |controller: Controller| async move { controller.output(&permit, id, part).await };
            let Some(Ok(bytes)) = self.ask("output", PATIENCE, read).await else { continue };
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.is_output_of(record, part, &bytes);
            if length != output.bytes_stored - offset {
                let (id, name) = (record.id, stream.as_str());
                self.site.world.wrong(format_args!("{name} of {id}: {length} bytes of {output:?} from {offset} on"));
            }
        }
    }

    fn is_output_of(&self, record: &ExecutionRecord, part: OutputPart, bytes: &Bytes) {
        let program = Program::parse(&record.command.argv);
        if !program.is_ok_and(|program| program.wrote(part.stream, part.offset, bytes)) {
            let (id, name) = (record.id, part.stream.as_str());
            self.site
                .world
                .wrong(format_args!("{name} of {id}: other bytes than the program wrote at {}", part.offset));
        }
    }

    /// Every event in order and without a hole, then the end.
    async fn follow(&self, id: ExecutionId) {
        let permit = permit::<ReadExecution>();
        let follow = |controller: Controller| async move {
            let record = controller.execution(&permit, id).await?;
            let events: Vec<OutputEvent> = controller.follow(&permit, id, 0, 0).await?.try_collect().await?;
            Ok((record, events))
        };
        let Some(Ok((record, events))) = self.ask("follow", TIMEOUT + PATIENCE, follow).await else { return };
        let mut offsets = [0_u64; 2];
        for event in events {
            match event {
                OutputEvent::Output { stream, offset, data } => {
                    let at = &mut offsets[usize::from(stream == Stream::Stderr)];
                    if *at != offset {
                        self.site.world.wrong(format_args!("{id}: output at {offset} follows {at}"));
                    }
                    *at = offset + u64::try_from(data.len()).unwrap_or(u64::MAX);
                    self.is_output_of(&record, OutputPart { stream, offset, bytes_max: u64::MAX }, &data);
                }
                OutputEvent::Finished(record) => {
                    self.finished(&record);
                    if let ExecutionState::Finished { stdout, stderr, .. } = &record.state
                        && offsets != [stdout.bytes_stored, stderr.bytes_stored]
                    {
                        self.site.world.wrong(format_args!("{id}: followed until {offsets:?} of {record:?}"));
                    }
                }
            }
        }
    }
}
