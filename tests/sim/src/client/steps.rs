//! What a client does, and what must be true of each answer.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use sentinal_auth::{CreateSandbox, DestroySandbox, Execute, ReadExecution, ReadFile, ReadSandbox, WriteFile};
use sentinal_controller::{
    Execution, ExecutionRecord, ExecutionState, NewExecution, OutputEvent, OutputPart, Page, SandboxRecord,
};
use sentinal_model::{Code, ExecutionId, GuestPath, Phase, SandboxId, Stream};

use super::Client;
use crate::{journal::FilePromise, permits::permit, program::Program, wish::any_sandbox};

/// What is long for any answer, beside what the call itself waits for.
const PATIENCE: Duration = Duration::from_secs(150);
/// How long programs may run.
const TIMEOUT: Duration = Duration::from_secs(40);
const TIMEOUT_SHORT: Duration = Duration::from_secs(3);

impl Client {
    /// Does so many things.
    pub(crate) async fn work(mut self, steps: u32) {
        for _ in 0..steps {
            tokio::time::sleep(self.site.world.millis(0..1500)).await;
            self.step().await;
        }
    }

    async fn step(&mut self) {
        let dice = self.site.world.pick(0..100);
        let Some(sandbox) = self.any() else { return self.create_or_once(dice).await };
        match dice {
            0..15 => self.create().await,
            15..40 => self.execute(sandbox).await,
            40..50 => self.start(sandbox).await,
            50..60 => self.upload(sandbox).await,
            60..65 => self.download(sandbox).await,
            65..75 => self.once().await,
            75..88 => self.destroy(sandbox).await,
            88..94 => drop(self.look(sandbox).await),
            _ => self.list().await,
        }
    }

    async fn create_or_once(&mut self, dice: u32) {
        if dice < 75 { self.create().await } else { self.once().await }
    }

    fn any(&self) -> Option<SandboxId> {
        let count = self.sandboxes.len();
        (0 < count).then(|| self.sandboxes[self.site.world.pick(0..count)])
    }

    fn new_execution(&self) -> NewExecution {
        let world = &self.site.world;
        let timeout = if world.chance(2000) { TIMEOUT_SHORT } else { TIMEOUT };
        let wait = if world.chance(2000) { Duration::ZERO } else { Duration::from_secs(30) };
        NewExecution { command: Program::random(world).command(timeout), wait }
    }

    async fn create(&mut self) {
        let wait = if self.site.world.chance(3000) { Duration::ZERO } else { Duration::from_secs(30) };
        let spec = any_sandbox(&self.site.world);
        let permit = permit::<CreateSandbox>();
        let create =
            |controller: sentinal_controller::Controller| async move { controller.create(&permit, spec, wait).await };
        if let Some(Ok(record)) = self.ask("create", wait + PATIENCE, create).await {
            self.created(&record);
        }
    }

    /// An acknowledged sandbox is in the store.
    fn created(&mut self, record: &SandboxRecord) {
        self.site.world.tell(format_args!("client {}: has {}", self.number, record.id));
        self.site.journal.sandbox(record.id, |_| {});
        self.sandboxes.push(record.id);
        if self.site.ledger.find(&record.id).is_none() && !self.site.ledger.was_removed(&record.id) {
            self.site.world.wrong(format_args!("{} was acknowledged, and there is no row of it", record.id));
        }
    }

    /// To its end.
    async fn execute(&self, sandbox: SandboxId) {
        if let Some(execution) = self.begin(sandbox).await {
            match self.site.world.pick(0..3) {
                0 => self.follow(execution.id).await,
                _ => self.finish(execution.id).await,
            }
        }
    }

    /// Left to itself.
    async fn start(&self, sandbox: SandboxId) {
        self.begin(sandbox).await;
    }

    async fn begin(&self, sandbox: SandboxId) -> Option<Execution> {
        let new = self.new_execution();
        let bound = new.wait + new.command.timeout + PATIENCE;
        let permit = permit::<Execute>();
        let execute = |controller: sentinal_controller::Controller| async move {
            controller.execute(&permit, sandbox, new).await
        };
        let execution = self.ask("execute", bound, execute).await?.ok()?;
        self.acknowledged(&execution);
        Some(execution)
    }

    async fn once(&self) {
        let (spec, new) = (any_sandbox(&self.site.world), self.new_execution());
        let bound = new.wait + new.command.timeout + PATIENCE;
        let (execute, create) = (permit::<Execute>(), permit::<CreateSandbox>());
        let once = |controller: sentinal_controller::Controller| async move {
            controller.execute_once(&execute, &create, spec, new).await
        };
        if let Some(Ok(execution)) = self.ask("execute once", bound, once).await {
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
        let finished =
            |controller: sentinal_controller::Controller| async move { controller.finished(&permit, id).await };
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
            let read =
                |controller: sentinal_controller::Controller| async move { controller.output(&permit, id, part).await };
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
        let follow = |controller: sentinal_controller::Controller| async move {
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

    async fn upload(&self, sandbox: SandboxId) {
        let world = &self.site.world;
        let path = format!("file-{}", world.pick(0..1_000_000));
        let file = FilePromise { path, byte: world.pick(0..=255), size: world.pick(0..100_000) };
        let Ok(guest): Result<GuestPath, _> = file.path.parse() else { return };
        let body = Bytes::from(vec![file.byte; file.size]);
        let permit = permit::<WriteFile>();
        let upload = |controller: sentinal_controller::Controller| async move {
            controller.upload(&permit, sandbox, &guest, stream::iter([Ok(body)]).boxed()).await
        };
        if let Some(Ok(_)) = self.ask("upload", PATIENCE, upload).await {
            self.site.journal.sandbox(sandbox, |promise| promise.files.push(file));
        }
    }

    async fn download(&self, sandbox: SandboxId) {
        let files = self.site.journal.sandboxes().remove(&sandbox).unwrap_or_default().files;
        for file in files {
            self.downloaded(sandbox, &file).await;
        }
    }

    /// An acknowledged file is there, byte for byte, as long as its sandbox runs.
    pub(crate) async fn downloaded(&self, sandbox: SandboxId, file: &FilePromise) -> bool {
        let Ok(guest): Result<GuestPath, _> = file.path.parse() else { return false };
        let permit = permit::<ReadFile>();
        let download = |controller: sentinal_controller::Controller| async move {
            let body = controller.download(&permit, sandbox, &guest).await?;
            let chunks: Vec<Bytes> = body.bytes.try_collect().await?;
            Ok(chunks.concat())
        };
        match self.ask("download", PATIENCE, download).await {
            Some(Ok(bytes)) => {
                if bytes != vec![file.byte; file.size] {
                    self.site.world.wrong(format_args!("{sandbox}: {file:?} has other bytes"));
                }
                true
            }
            Some(Err(_)) | None => false,
        }
    }

    pub(crate) async fn destroy(&mut self, sandbox: SandboxId) {
        self.site.journal.unwanted(sandbox);
        let permit = permit::<DestroySandbox>();
        let destroy =
            |controller: sentinal_controller::Controller| async move { controller.destroy(&permit, sandbox).await };
        let Some(answer) = self.ask("destroy", PATIENCE, destroy).await else { return };
        let stored = self.site.ledger.find(&sandbox);
        let gone = stored.as_ref().is_none_or(|record| record.phase.is_finished());
        let promised = match &answer {
            Ok(record) => record.phase.is_finished(),
            Err(error) => error.code() == Code::NotFound,
        };
        if promised && !gone {
            self.site.world.wrong(format_args!("{sandbox} is said to have ended; the store has {stored:?}"));
        }
        if answer.as_ref().is_ok_and(|record| !matches!(record.phase, Phase::Stopping(..) | Phase::Finished(_))) {
            self.site.world.wrong(format_args!("{sandbox} was to be destroyed, and is {answer:?}"));
        }
        if promised {
            self.site.journal.sandbox(sandbox, |promise| promise.ended = true);
            self.sandboxes.retain(|id| *id != sandbox);
        }
    }

    /// What was acknowledged can be looked at.
    pub(crate) async fn look(&self, sandbox: SandboxId) -> Option<SandboxRecord> {
        let permit = permit::<ReadSandbox>();
        let look =
            |controller: sentinal_controller::Controller| async move { controller.sandbox(&permit, sandbox).await };
        match self.ask("look", PATIENCE, look).await? {
            Ok(record) => Some(record),
            Err(error) => {
                if error.code() == Code::NotFound && !self.site.ledger.was_removed(&sandbox) {
                    self.site.world.wrong(format_args!("{sandbox} was acknowledged, and nobody knows of it"));
                }
                None
            }
        }
    }

    async fn list(&self) {
        let permit = permit::<ReadSandbox>();
        let page = Page { after: None, rows_max: 100 };
        let list =
            |controller: sentinal_controller::Controller| async move { controller.sandboxes(&permit, page).await };
        // What is in it was looked at when it was committed.
        let _ = self.ask("list", PATIENCE, list).await;
    }
}
