//! A controller without sandboxes. What a program's line says is what it does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use sentinal_auth::{
    ApiKey, ConnectPort, ControlExecution, CreateKey, CreateSandbox, CreateWebhook, DestroySandbox, Execute,
    ImportImage, NewKey, PauseSandbox, Permit, ReadEngine, ReadExecution, ReadFile, ReadImage, ReadKey, ReadLogs,
    ReadQuota, ReadSandbox, ReadSelf, ReadUsage, ReadWebhook, RemoveImage, RemoveWebhook, ResumeSandbox, RevokeKey,
    TestWebhook, UpdateSandbox, UpdateWebhook, WriteFile,
};
use sentinal_controller::{
    Attached, Created, CreatedWebhook, DeliveryRecord, EngineStatus, EventQuery, EventRecord, Execution,
    ExecutionRecord, ExecutionState, FileBody, Health, HostUsage, ImageDetails, ImageJob, ImageView, KeyRecord,
    LogEntry, LogQuery, NewBuild, NewExecution, NewImage, NewSandbox, NewWebhook, OpenContext, Output, OutputEvent,
    OutputPart, OutputPlace, Page, PortStream, PullRequest, Quota, RemovedImages, SandboxFilter, SandboxRecord,
    UsageQuery, UsageRecord, WebhookAnswer, WebhookRecord,
};
use sentinal_gateway::{Ask, Offsets};
use sentinal_model::{
    ArchiveWrite, ArchiveWritten, ByteRange, Code, ContextId, DeliveryResult, End, Ended, EngineName, Error, Event,
    ExecutionId, ExecutionOutcome, FileAt, FileChange, FileEvent, FileKind, FileLook, FileMove, FileRemoval, FileStat,
    FileWrite, FileWritten, FolderEntry, FolderList, FolderPage, FolderWatch, Generation, ImageJobId, ImageName, KeyId,
    Millis, NewContext, NewFolder, NodeId, Phase, Placement, Result, Results, SandboxId, SandboxUpdate, Spec,
    StdinPart, Stream, TenantId, TerminalSize, Usage, WebhookId, WebhookSecret, WebhookUpdate, WritePlace,
};
use sentinal_store::{NewDelivery, NewEvent, WebhookProgress};
use tokio::sync::watch;

const NOW: Millis = Millis(1_764_000_000_000);

#[derive(Debug, Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) sandboxes: BTreeMap<SandboxId, SandboxRecord>,
    pub(crate) executions: BTreeMap<ExecutionId, ExecutionRecord>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) webhooks: BTreeMap<WebhookId, WebhookRecord>,
    /// Uploads whose body broke off, with what was said.
    pub(crate) broken: Vec<String>,
    /// Followers that are there.
    pub(crate) followers: usize,
    /// What the next call answers instead.
    pub(crate) failure: Option<Error>,
    pub(crate) sick: bool,
    pub(crate) news: watch::Sender<()>,
}

impl Fake {
    pub(crate) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A sandbox that runs.
    pub(crate) fn sandbox(&self) -> SandboxId {
        let spec = serde_json::from_str::<sentinal_api::CreateSandbox>("{}").unwrap();
        self.insert(sentinal_api::ParsedCreate::try_from(spec).unwrap().spec).id
    }

    fn insert(&self, spec: Spec) -> SandboxRecord {
        let placement = Placement { node: NodeId::local(), engine: EngineName::Gvisor, reason: "the strongest".into() };
        let record = SandboxRecord {
            id: SandboxId::generate(),
            tenant: TenantId::default_tenant(),
            generation: Generation::FIRST,
            phase: Phase::Running(placement),
            engine: Some(EngineName::Gvisor),
            node: Some(NodeId::local()),
            engine_reason: "the strongest".into(),
            message: String::new(),
            token: [0; 32],
            one_shot: false,
            pooled: None,
            key: None,
            created_at: NOW,
            expires_at: NOW.after(spec.ttl),
            paused_at: None,
            paused_for: Duration::ZERO,
            finished_at: None,
            spec,
        };
        self.state().sandboxes.insert(record.id, record.clone());
        record
    }

    fn failure(&self) -> Result<()> {
        self.state().failure.take().map_or(Ok(()), Err)
    }

    fn known(&self, id: SandboxId) -> Result<SandboxRecord> {
        self.failure()?;
        self.state().sandboxes.get(&id).cloned().ok_or_else(|| Error::not_found("there is no such sandbox"))
    }

    fn changed(&self, id: SandboxId, event: Event) -> Result<SandboxRecord> {
        let mut record = self.known(id)?;
        record.phase = record.phase.on(event).map_err(|rejected| Error::new(Code::Conflict, rejected.to_string()))?;
        self.state().sandboxes.insert(id, record.clone());
        Ok(record)
    }

    fn start(&self, sandbox: SandboxId, new: NewExecution) -> Execution {
        let record = ExecutionRecord {
            id: ExecutionId::generate(),
            sandbox,
            tenant: TenantId::default_tenant(),
            is_whole: new.command.stdin.is_empty(),
            command: new.command,
            state: ExecutionState::Running,
            key: None,
            created_at: NOW,
        };
        let id = record.id;
        self.state().executions.insert(id, record);
        Execution { id, sandbox, is_replay: new.once.is_some() }
    }

    fn record(&self, id: ExecutionId) -> Result<ExecutionRecord> {
        self.state().executions.get(&id).cloned().ok_or_else(|| Error::not_found("there is no such execution"))
    }
}

/// What a program writes: pieces of each stream.
fn pieces(line: &str) -> Vec<(Stream, Vec<u8>)> {
    match line {
        "bytes" => vec![(Stream::Stdout, vec![0, 255])],
        "split" => vec![(Stream::Stdout, b"gr\xc3".to_vec()), (Stream::Stdout, b"\xbcn".to_vec())],
        "long" => vec![(Stream::Stdout, vec![b'x'; 3 << 19]), (Stream::Stderr, b"end".to_vec())],
        "both" => vec![(Stream::Stdout, b"out".to_vec()), (Stream::Stderr, b"err".to_vec())],
        other => vec![(Stream::Stdout, other.as_bytes().to_vec())],
    }
}

fn whole(line: &str, stream: Stream) -> Vec<u8> {
    pieces(line).into_iter().filter(|(of, _)| *of == stream).flat_map(|(_, data)| data).collect()
}

fn line(record: &ExecutionRecord) -> String {
    record.command.argv.last().unwrap().clone()
}

fn ended(mut record: ExecutionRecord) -> ExecutionRecord {
    let output = |stream| {
        let data = whole(&line(&record), stream);
        let bytes = u64::try_from(data.len()).unwrap();
        let place = if data.len() > 16_384 { OutputPlace::File } else { OutputPlace::Row(data) };
        Output { bytes_total: bytes, bytes_stored: bytes, place }
    };
    let usage = Usage { cpu_us: 9100, memory_peak_bytes: 14_680_064 };
    let (stdout, stderr) = (output(Stream::Stdout), output(Stream::Stderr));
    let ended = Ended { outcome: ExecutionOutcome::Exited(0), duration_us: 12_300, usage };
    record.state = ExecutionState::Finished { ended, finished_at: NOW, stdout, stderr, results: Results::default() };
    record
}

struct Follower(Fake);

impl Follower {
    /// Being called keeps it.
    fn sees(&self) {
        assert_ne!(self.0.state().followers, 0);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.state().followers -= 1;
    }
}

const DIGEST: &str = "sha256:5606d7dda758edf162d9e902128efbfd57b95831b329af495e65f974f9af0588";

#[async_trait]
impl Ask for Fake {
    async fn create(&self, _: &Permit<CreateSandbox>, new: NewSandbox) -> Result<Created> {
        self.failure()?;
        Ok(Created { record: self.insert(new.spec), is_replay: new.once.is_some() })
    }

    async fn sandbox(&self, _: &Permit<ReadSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.known(id)
    }

    async fn sandboxes(
        &self,
        _: &Permit<ReadSandbox>,
        _: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Result<Vec<SandboxRecord>> {
        let state = self.state();
        let older = state.sandboxes.values().rev().filter(|record| page.after.is_none_or(|after| record.id < after));
        Ok(older.take(usize::try_from(page.rows_max).unwrap()).cloned().collect())
    }

    async fn stats(&self, _: &Permit<ReadSandbox>, id: SandboxId) -> Result<(SandboxRecord, HostUsage)> {
        Ok((self.known(id)?, HostUsage { cpu_us: 812_500, processes: 12, ..HostUsage::default() }))
    }

    async fn destroy(&self, _: &Permit<DestroySandbox>, id: SandboxId) -> Result<SandboxRecord> {
        let mut record = self.known(id)?;
        record.phase = Phase::Finished(End::Destroyed);
        record.finished_at = Some(NOW);
        self.state().sandboxes.insert(id, record.clone());
        Ok(record)
    }

    async fn update(&self, _: &Permit<UpdateSandbox>, id: SandboxId, update: SandboxUpdate) -> Result<SandboxRecord> {
        let mut record = self.known(id)?;
        if let Some(ttl) = update.ttl {
            record.expires_at = NOW.after(ttl);
        }
        self.state().sandboxes.insert(id, record.clone());
        Ok(record)
    }

    async fn pause(&self, _: &Permit<PauseSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.changed(id, Event::Paused)
    }

    async fn resume(&self, _: &Permit<ResumeSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.changed(id, Event::Resumed)
    }

    async fn execute(&self, _: &Permit<Execute>, id: SandboxId, new: NewExecution) -> Result<Execution> {
        self.known(id)?;
        Ok(self.start(id, new))
    }

    async fn execute_once(
        &self,
        _: &Permit<Execute>,
        _: &Permit<CreateSandbox>,
        spec: Spec,
        new: NewExecution,
    ) -> Result<Execution> {
        let sandbox = self.insert(spec).id;
        Ok(self.start(sandbox, new))
    }

    async fn execution(&self, _: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord> {
        self.record(id)
    }

    async fn executions(
        &self,
        _: &Permit<ReadExecution>,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Result<Vec<ExecutionRecord>> {
        let state = self.state();
        let of = |record: &&ExecutionRecord| sandbox.is_none_or(|id| record.sandbox == id);
        let rows = state.executions.values().rev().filter(of);
        Ok(rows.take(usize::try_from(page.rows_max).unwrap()).cloned().collect())
    }

    async fn finished(&self, _: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord> {
        let record = self.record(id)?;
        match line(&record).as_str() {
            "hang" => std::future::pending().await,
            "nap" => tokio::time::sleep(Duration::from_millis(300)).await,
            _ => {}
        }
        let record = ended(record);
        self.state().executions.insert(id, record.clone());
        Ok(record)
    }

    async fn signal(&self, _: &Permit<ControlExecution>, id: ExecutionId, _: i32) -> Result<()> {
        self.record(id).map(drop)
    }

    async fn write_stdin(
        &self,
        _: &Permit<ControlExecution>,
        id: ExecutionId,
        part: StdinPart,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<u64> {
        self.record(id)?;
        let count = |sum: u64, bytes: Bytes| async move { Ok(sum + u64::try_from(bytes.len()).unwrap()) };
        body.try_fold(part.offset.unwrap_or(0), count).await
    }

    async fn create_context(&self, _: &Permit<Execute>, _: SandboxId, _: NewContext) -> Result<ContextId> {
        Ok(ContextId::from_bytes([7; 16]))
    }

    async fn contexts(&self, _: &Permit<ReadExecution>, _: SandboxId) -> Result<Vec<OpenContext>> {
        Ok(Vec::new())
    }

    async fn remove_context(&self, _: &Permit<Execute>, _: SandboxId, _: ContextId) -> Result<()> {
        Ok(())
    }

    async fn attach(
        &self,
        _: &Permit<ControlExecution>,
        _: SandboxId,
        terminal: ExecutionId,
    ) -> Result<Option<Attached>> {
        self.record(terminal).map(|_| None)
    }

    async fn type_into(
        &self,
        _: &Permit<ControlExecution>,
        id: ExecutionId,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()> {
        self.record(id)?;
        body.try_for_each(|_| async { Ok(()) }).await
    }

    async fn resize(&self, _: &Permit<ControlExecution>, id: ExecutionId, _: TerminalSize) -> Result<()> {
        self.record(id).map(drop)
    }

    async fn connect(&self, _: &Permit<ConnectPort>, _: SandboxId, port: u16) -> Result<PortStream> {
        Err(Error::new(Code::Unavailable, format!("nothing listens on port {port} of the sandbox")))
    }

    async fn follow(
        &self,
        _: &Permit<ReadExecution>,
        id: ExecutionId,
        from: Offsets,
    ) -> Result<BoxStream<'static, Result<OutputEvent>>> {
        let record = self.record(id)?;
        self.state().followers += 1;
        let follower = Follower(self.clone());
        let event =
            |(stream, offset, data): (Stream, u64, Vec<u8>)| OutputEvent::Output { stream, offset, data: data.into() };
        let events = match line(&record).as_str() {
            "hang" => stream::pending().boxed(),
            "flood" => {
                stream::iter(0..).map(move |n| Ok(event((Stream::Stdout, n * 65_536, vec![b'x'; 65_536])))).boxed()
            }
            "broken" => stream::iter([Err(Error::new(Code::Unavailable, "the sandbox is gone"))]).boxed(),
            said => {
                let mut offsets = [0_u64; 2];
                let mut all = Vec::new();
                for (of, data) in pieces(said) {
                    let (index, begin) = match of {
                        Stream::Stdout => (0, from.stdout),
                        Stream::Stderr => (1, from.stderr),
                    };
                    let offset = offsets[index];
                    offsets[index] += u64::try_from(data.len()).unwrap();
                    let skip = usize::try_from(begin.saturating_sub(offset)).unwrap().min(data.len());
                    if skip < data.len() {
                        all.push(Ok(event((of, offset + u64::try_from(skip).unwrap(), data[skip..].to_vec()))));
                    }
                }
                stream::iter(all).chain(stream::iter([Ok(OutputEvent::Finished(Box::new(ended(record))))])).boxed()
            }
        };
        Ok(events.inspect(move |_| follower.sees()).boxed())
    }

    async fn output(&self, _: &Permit<ReadExecution>, id: ExecutionId, part: OutputPart) -> Result<Bytes> {
        let data = whole(&line(&self.record(id)?), part.stream);
        let begin = usize::try_from(part.offset).unwrap().min(data.len());
        let end = begin.saturating_add(usize::try_from(part.bytes_max).unwrap()).min(data.len());
        Ok(Bytes::copy_from_slice(&data[begin..end]))
    }

    async fn upload(
        &self,
        _: &Permit<WriteFile>,
        id: SandboxId,
        file: &FileWrite,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<FileWritten> {
        self.known(id)?;
        let path = file.at.path.to_string();
        let before = match file.place {
            WritePlace::Whole => Vec::new(),
            WritePlace::End => self.state().files.get(&path).cloned().unwrap_or_default(),
        };
        let held = length(&before);
        let append = |mut file: Vec<u8>, bytes: Bytes| async move {
            file.extend_from_slice(&bytes);
            Ok(file)
        };
        match body.try_fold(before, append).await {
            Ok(file) => {
                let size = length(&file);
                self.state().files.insert(path, file);
                Ok(FileWritten { bytes: size - held, size })
            }
            Err(error) => {
                self.state().broken.push(error.message().to_owned());
                Err(Error::new(Code::Unavailable, "the file did not arrive whole"))
            }
        }
    }

    async fn download(
        &self,
        _: &Permit<ReadFile>,
        id: SandboxId,
        file: &FileAt,
        range: Option<ByteRange>,
    ) -> Result<FileBody> {
        self.known(id)?;
        let body = |size, pieces: &[&[u8]]| {
            let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            Ok(FileBody { size, part: Some((0, size)), bytes: stream::iter(pieces).boxed() })
        };
        match file.path.as_str() {
            "/home/user" | "/home/user/folder" => Err(Error::new(Code::Conflict, "it is a folder")),
            "/shrinks" => body(10, &[b"12345"]),
            "/grows" => body(3, &[b"12345", b"6"]),
            path => {
                let file =
                    self.state().files.get(path).cloned().ok_or_else(|| Error::not_found("there is no such file"))?;
                let size = length(&file);
                let part = range.map_or(Some((0, size)), |range| range.within(size));
                let (first, bytes) = part.unwrap_or_default();
                let bytes = file[usize::try_from(first).unwrap()..][..usize::try_from(bytes).unwrap()].to_vec();
                Ok(FileBody { size, part, bytes: stream::iter([Ok(bytes.into())]).boxed() })
            }
        }
    }

    async fn read_archive(
        &self,
        _: &Permit<ReadFile>,
        id: SandboxId,
        _: &FileAt,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.known(id)?;
        Ok(stream::iter([Ok(Bytes::from_static(b"packed"))]).boxed())
    }

    async fn write_archive(
        &self,
        _: &Permit<WriteFile>,
        id: SandboxId,
        _: &ArchiveWrite,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ArchiveWritten> {
        self.known(id)?;
        let pieces: Vec<Bytes> = body.try_collect().await?;
        Ok(ArchiveWritten { entries: 1, bytes: length(&pieces.concat()) })
    }

    async fn stat(&self, _: &Permit<ReadFile>, id: SandboxId, look: &FileLook) -> Result<FileStat> {
        self.known(id)?;
        let size = self.state().files.get(look.at.path.as_str()).map(|file| length(file));
        size.map(stat).ok_or_else(|| Error::not_found("there is no such file"))
    }

    async fn list_folder(&self, _: &Permit<ReadFile>, id: SandboxId, list: &FolderList) -> Result<FolderPage> {
        self.known(id)?;
        let prefix = format!("{}/", list.at.path);
        let state = self.state();
        let below = state.files.iter().filter_map(|(path, file)| Some((path.strip_prefix(&prefix)?, file)));
        let entry = |(path, file): (&str, &Vec<u8>)| FolderEntry {
            path: path.into(),
            stat: stat(length(file)),
            unreadable: false,
        };
        let mut entries: Vec<_> = below.map(entry).filter(|entry| list.after < entry.path).collect();
        let more = usize::try_from(list.entries_max).unwrap() < entries.len();
        entries.truncate(usize::try_from(list.entries_max).unwrap());
        Ok(FolderPage { entries, more })
    }

    async fn watch(
        &self,
        _: &Permit<ReadFile>,
        id: SandboxId,
        _: &FolderWatch,
    ) -> Result<BoxStream<'static, Result<FileEvent>>> {
        self.known(id)?;
        let event = |change, path: &str| Ok(FileEvent { change, path: path.into(), is_folder: false });
        let moved = FileChange::Moved { from: "a".into() };
        Ok(stream::iter([event(FileChange::Created, "a"), event(moved, "b"), event(FileChange::Overflow, "")]).boxed())
    }

    async fn make_folder(&self, _: &Permit<WriteFile>, id: SandboxId, _: &NewFolder) -> Result<FileStat> {
        self.known(id)?;
        Ok(stat(0))
    }

    async fn move_file(&self, _: &Permit<WriteFile>, id: SandboxId, change: &FileMove) -> Result<FileStat> {
        self.known(id)?;
        let mut state = self.state();
        let file =
            state.files.remove(change.from.path.as_str()).ok_or_else(|| Error::not_found("there is no such file"))?;
        let size = length(&file);
        state.files.insert(change.to.to_string(), file);
        Ok(stat(size))
    }

    async fn remove_file(&self, _: &Permit<WriteFile>, id: SandboxId, removal: &FileRemoval) -> Result<()> {
        self.known(id)?;
        let removed = self.state().files.remove(removal.at.path.as_str());
        removed.map(drop).ok_or_else(|| Error::not_found("there is no such file"))
    }

    async fn logs(&self, _: &Permit<ReadLogs>, query: LogQuery) -> Result<Vec<LogEntry>> {
        let after: u32 =
            query.after.map_or(Ok(0), |text| text.parse()).map_err(|_| Error::invalid("cursor: unknown"))?;
        let entry = |n: u32| LogEntry {
            cursor: n.to_string(),
            time: NOW,
            kind: "audit".into(),
            sandbox: None,
            execution: None,
            stream: None,
            message: format!("entry {n}"),
        };
        Ok((after + 1..=5).take(usize::try_from(query.rows_max).unwrap()).map(entry).collect())
    }

    async fn events(&self, _: &Permit<ReadLogs>, query: EventQuery) -> Result<Vec<EventRecord>> {
        let event = |cursor: i64| {
            let (name, kind, message) = ("Sandbox Created".into(), "audit".into(), format!("event {cursor}"));
            let tenant = TenantId::default_tenant();
            EventRecord {
                cursor,
                event: NewEvent { tenant, at: NOW, name, kind, sandbox: None, execution: None, message },
            }
        };
        Ok((query.after + 1..=5).take(usize::try_from(query.rows_max).unwrap()).map(event).collect())
    }

    async fn last_event(&self, _: &Permit<ReadLogs>) -> Result<i64> {
        Ok(5)
    }

    fn news(&self, _: &Permit<ReadLogs>, _: Option<SandboxId>) -> watch::Receiver<()> {
        self.state().news.subscribe()
    }

    fn engines(&self, _: &Permit<ReadEngine>) -> Vec<EngineStatus> {
        let usable =
            |name| if name == EngineName::Gvisor { Ok("runsc 1".to_owned()) } else { Err("not here".to_owned()) };
        EngineName::ALL
            .map(|name| EngineStatus { name, allowed: name != EngineName::Native, usable: usable(name) })
            .into()
    }

    async fn images(&self, _: &Permit<ReadImage>, _: Page<ImageName>) -> Result<Vec<ImageView>> {
        Ok(vec![ImageView { name: ImageName::default(), digest: DIGEST.to_owned(), size_bytes: 4096 }])
    }

    async fn image(&self, _: &Permit<ReadImage>, name: &ImageName) -> Result<ImageDetails> {
        let (source, config) = (String::new(), sentinal_controller::ImageConfig::default());
        Ok(ImageDetails {
            name: name.clone(),
            digest: DIGEST.to_owned(),
            size_bytes: 4096,
            source,
            created: NOW,
            config,
        })
    }

    async fn import_image(
        &self,
        _: &Permit<ImportImage>,
        new: NewImage,
        mut archive: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageDetails> {
        let mut size_bytes = 0;
        while let Some(bytes) = archive.next().await {
            size_bytes += u64::try_from(bytes?.len()).unwrap();
        }
        let (source, config) = (new.source, sentinal_controller::ImageConfig::default());
        Ok(ImageDetails { name: new.name, digest: DIGEST.to_owned(), size_bytes, source, created: NOW, config })
    }

    async fn pull_image(&self, _: &Permit<ImportImage>, name: ImageName, pull: PullRequest) -> Result<ImageJob> {
        self.failure()?;
        Ok(ImageJob {
            id: ImageJobId::from_bytes([7; 16]),
            tenant: sentinal_model::TenantId::default_tenant(),
            name,
            kind: sentinal_controller::ImageJobKind::Pull { reference: pull.reference },
            state: sentinal_controller::ImageJobState::Running,
            progress: sentinal_controller::ImageProgress::default(),
            created_at: NOW,
            finished_at: None,
        })
    }

    async fn build_image(
        &self,
        permit: &Permit<ImportImage>,
        _: (&Permit<CreateSandbox>, &Permit<Execute>),
        new: NewBuild,
        mut context: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageJob> {
        while let Some(bytes) = context.next().await {
            bytes?;
        }
        let pull = PullRequest { reference: new.file, credentials: None };
        self.pull_image(permit, new.name, pull).await
    }

    fn image_job_log(&self, _: &Permit<ReadImage>, _: ImageJobId, _: (u64, bool)) -> Result<BoxStream<'static, Bytes>> {
        Err(Error::not_found("there is no build with this id"))
    }

    fn image_job(&self, _: &Permit<ReadImage>, _: ImageJobId) -> Result<ImageJob> {
        Err(Error::not_found("there is no pull with this id"))
    }

    fn image_jobs(&self, _: &Permit<ReadImage>, _: Page<ImageJobId>) -> Vec<ImageJob> {
        Vec::new()
    }

    async fn cancel_image_job(&self, permit: &Permit<ImportImage>, _: ImageJobId) -> Result<ImageJob> {
        Err(Error::not_found(format!("{} has no pull with this id", permit.tenant())))
    }

    async fn remove_image(&self, _: &Permit<RemoveImage>, _: &ImageName) -> Result<RemovedImages> {
        Ok(RemovedImages { digests: vec![DIGEST.to_owned()], bytes: 4096 })
    }

    async fn prune_images(&self, _: &Permit<RemoveImage>) -> Result<RemovedImages> {
        Ok(RemovedImages::default())
    }

    async fn create_key(&self, permit: &Permit<CreateKey>, new: NewKey) -> Result<(ApiKey, KeyRecord)> {
        let key = ApiKey::generate()?;
        let record = key.record(permit.tenant().clone(), new.role, &new.name, NOW);
        Ok((key, KeyRecord { expires_at: new.expires_at, ..record }))
    }

    async fn key(&self, _: &Permit<ReadKey>, id: KeyId) -> Result<KeyRecord> {
        Err(Error::not_found(format!("{id} does not exist")))
    }

    async fn own_key(&self, permit: &Permit<ReadSelf>) -> Result<KeyRecord> {
        Err(Error::not_found(format!("{} does not exist", permit.key())))
    }

    async fn list_keys(&self, _: &Permit<ReadKey>, _: Page<KeyId>) -> Result<Vec<KeyRecord>> {
        Ok(Vec::new())
    }

    async fn revoke_key(&self, _: &Permit<RevokeKey>, id: KeyId) -> Result<KeyRecord> {
        Err(Error::not_found(format!("{id} does not exist")))
    }

    async fn usage(&self, _: &Permit<ReadUsage>, _: UsageQuery) -> Result<Vec<UsageRecord>> {
        Ok(Vec::new())
    }

    fn quotas(&self, _: &Permit<ReadQuota>) -> Vec<Quota> {
        Vec::new()
    }

    async fn create_webhook(&self, permit: &Permit<CreateWebhook>, new: NewWebhook) -> Result<CreatedWebhook> {
        self.failure()?;
        let record = WebhookRecord {
            id: WebhookId::generate(),
            tenant: permit.tenant().clone(),
            generation: Generation::FIRST,
            spec: new.spec,
            secret: WebhookSecret::from_bytes([7; 32]),
            is_enabled: true,
            disabled_reason: String::new(),
            created_at: NOW,
            progress: WebhookProgress::default(),
            lost: 0,
        };
        self.state().webhooks.insert(record.id, record.clone());
        Ok(CreatedWebhook { record, is_replay: new.once.is_some() })
    }

    async fn webhooks(&self, _: &Permit<ReadWebhook>, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>> {
        let state = self.state();
        let newest_first = state.webhooks.values().rev();
        let after = newest_first.filter(|record| page.after.is_none_or(|after| record.id < after));
        Ok(after.take(usize::try_from(page.rows_max).unwrap()).cloned().collect())
    }

    async fn webhook(&self, _: &Permit<ReadWebhook>, id: WebhookId) -> Result<WebhookRecord> {
        self.state().webhooks.get(&id).cloned().ok_or_else(|| Error::not_found("there is no such webhook"))
    }

    async fn update_webhook(
        &self,
        _: &Permit<UpdateWebhook>,
        id: WebhookId,
        update: WebhookUpdate,
    ) -> Result<WebhookRecord> {
        let mut state = self.state();
        let record = state.webhooks.get_mut(&id).ok_or_else(|| Error::not_found("there is no such webhook"))?;
        record.is_enabled = update.is_enabled.unwrap_or(record.is_enabled);
        Ok(record.clone())
    }

    async fn remove_webhook(&self, _: &Permit<RemoveWebhook>, id: WebhookId) -> Result<()> {
        let removed = self.state().webhooks.remove(&id);
        removed.map(drop).ok_or_else(|| Error::not_found("there is no such webhook"))
    }

    async fn test_webhook(&self, _: &Permit<TestWebhook>, _: WebhookId) -> Result<WebhookAnswer> {
        let (status, said, took) = (Some(503), "busy".to_owned(), Duration::from_millis(3));
        Ok(WebhookAnswer { status, said, took, ..WebhookAnswer::default() })
    }

    async fn deliveries(
        &self,
        permit: &Permit<ReadWebhook>,
        webhook: WebhookId,
        page: Page<i64>,
    ) -> Result<Vec<DeliveryRecord>> {
        let delivery = |number: i64| NewDelivery {
            webhook,
            tenant: permit.tenant().clone(),
            event: number * 10,
            name: "Sandbox Created".to_owned(),
            attempt: 1,
            at: NOW,
            took: Duration::from_millis(3),
            result: DeliveryResult::Failed,
            status: None,
            error: "refused".to_owned(),
            retry_at: Some(NOW),
        };
        let numbers = (1..page.after.unwrap_or(4)).rev().take(usize::try_from(page.rows_max).unwrap());
        Ok(numbers.map(|number| DeliveryRecord { number, delivery: delivery(number) }).collect())
    }

    fn health(&self) -> Health {
        let node = if self.state().sick { Err("it does not answer".to_owned()) } else { Ok(()) };
        Health { node }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

fn stat(size: u64) -> FileStat {
    FileStat {
        kind: FileKind::File,
        size,
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        user: Some("user".into()),
        group: None,
        modified: NOW,
        target: None,
    }
}
