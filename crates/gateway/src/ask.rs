//! What the gateway asks of others. [`Controller`] and [`Keys`] answer; so do the fakes of this crate's tests.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{future::BoxFuture, stream::BoxStream};
use sentinal_auth::{
    ApiKey, Caller, ConnectPort, ControlExecution, CreateKey, CreateSandbox, CreateWebhook, DestroySandbox, Execute,
    ImportImage, Keys, NewKey, PauseSandbox, Permit, ReadEngine, ReadExecution, ReadFile, ReadImage, ReadKey, ReadLogs,
    ReadQuota, ReadSandbox, ReadSelf, ReadUsage, ReadWebhook, RemoveImage, RemoveWebhook, ResumeSandbox, RevokeKey,
    TestWebhook, UpdateSandbox, UpdateWebhook, WriteFile,
};
use sentinal_controller::{
    Attached, Controller, Created, CreatedWebhook, DeliveryRecord, EngineStatus, EventQuery, EventRecord, Execution,
    ExecutionRecord, FileBody, Health, HostUsage, ImageDetails, ImageJob, ImageView, KeyRecord, LogEntry, LogQuery,
    NewBuild, NewExecution, NewImage, NewSandbox, NewWebhook, OpenContext, OutputEvent, OutputPart, Page, PortStream,
    PullRequest, Quota, RemovedImages, SandboxFilter, SandboxRecord, UsageQuery, UsageRecord, WebhookAnswer,
    WebhookRecord,
};
use sentinal_model::{
    ArchiveWrite, ArchiveWritten, ByteRange, ContextId, ExecutionId, FileAt, FileEvent, FileLook, FileMove,
    FileRemoval, FileStat, FileWrite, FileWritten, FolderList, FolderPage, FolderWatch, ImageJobId, ImageName, KeyId,
    NewContext, NewFolder, Result, SandboxId, SandboxUpdate, Spec, StdinPart, TerminalSize, WebhookId, WebhookUpdate,
};
use tokio::sync::watch;

/// Recognises callers by their keys.
pub trait Authenticate: Send + Sync + std::fmt::Debug {
    /// Whose key this is; `unauthenticated` if it is nobody's.
    fn authenticate(&self, key: &str) -> Result<Caller>;

    /// Whether a key that was recognised can still be used.
    fn is_taken(&self, key: KeyId) -> bool;

    /// Resolves when it cannot be used any more.
    fn ended(&self, key: KeyId) -> BoxFuture<'static, ()>;
}

impl Authenticate for Arc<Keys> {
    fn authenticate(&self, key: &str) -> Result<Caller> {
        Keys::authenticate(self, key)
    }

    fn is_taken(&self, key: KeyId) -> bool {
        Keys::is_taken(self, key)
    }

    fn ended(&self, key: KeyId) -> BoxFuture<'static, ()> {
        Box::pin(Keys::ended(self, key))
    }
}

/// The calls of [`Controller`], which says what each means.
#[async_trait]
#[expect(missing_docs, reason = "the controller's own methods say it")]
pub trait Ask: Send + Sync + std::fmt::Debug {
    async fn create(&self, permit: &Permit<CreateSandbox>, new: NewSandbox) -> Result<Created>;
    async fn sandbox(&self, permit: &Permit<ReadSandbox>, id: SandboxId) -> Result<SandboxRecord>;
    async fn sandboxes(
        &self,
        permit: &Permit<ReadSandbox>,
        filter: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Result<Vec<SandboxRecord>>;
    async fn stats(&self, permit: &Permit<ReadSandbox>, id: SandboxId) -> Result<(SandboxRecord, HostUsage)>;
    async fn destroy(&self, permit: &Permit<DestroySandbox>, id: SandboxId) -> Result<SandboxRecord>;
    async fn update(
        &self,
        permit: &Permit<UpdateSandbox>,
        id: SandboxId,
        update: SandboxUpdate,
    ) -> Result<SandboxRecord>;
    async fn pause(&self, permit: &Permit<PauseSandbox>, id: SandboxId) -> Result<SandboxRecord>;
    async fn resume(&self, permit: &Permit<ResumeSandbox>, id: SandboxId) -> Result<SandboxRecord>;
    async fn execute(&self, permit: &Permit<Execute>, id: SandboxId, new: NewExecution) -> Result<Execution>;
    async fn execute_once(
        &self,
        permit: &Permit<Execute>,
        create: &Permit<CreateSandbox>,
        spec: Spec,
        new: NewExecution,
    ) -> Result<Execution>;
    async fn execution(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord>;
    async fn executions(
        &self,
        permit: &Permit<ReadExecution>,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Result<Vec<ExecutionRecord>>;
    async fn finished(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord>;
    async fn signal(&self, permit: &Permit<ControlExecution>, id: ExecutionId, signal: i32) -> Result<()>;
    async fn write_stdin(
        &self,
        permit: &Permit<ControlExecution>,
        id: ExecutionId,
        part: StdinPart,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<u64>;
    async fn create_context(&self, permit: &Permit<Execute>, id: SandboxId, new: NewContext) -> Result<ContextId>;
    async fn contexts(&self, permit: &Permit<ReadExecution>, id: SandboxId) -> Result<Vec<OpenContext>>;
    async fn remove_context(&self, permit: &Permit<Execute>, id: SandboxId, context: ContextId) -> Result<()>;
    async fn attach(
        &self,
        permit: &Permit<ControlExecution>,
        id: SandboxId,
        terminal: ExecutionId,
    ) -> Result<Option<Attached>>;
    async fn type_into(
        &self,
        permit: &Permit<ControlExecution>,
        id: ExecutionId,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()>;
    async fn resize(&self, permit: &Permit<ControlExecution>, id: ExecutionId, size: TerminalSize) -> Result<()>;
    async fn connect(&self, permit: &Permit<ConnectPort>, id: SandboxId, port: u16) -> Result<PortStream>;
    async fn follow(
        &self,
        permit: &Permit<ReadExecution>,
        id: ExecutionId,
        offsets: Offsets,
    ) -> Result<BoxStream<'static, Result<OutputEvent>>>;
    async fn output(&self, permit: &Permit<ReadExecution>, id: ExecutionId, part: OutputPart) -> Result<Bytes>;
    async fn upload(
        &self,
        permit: &Permit<WriteFile>,
        id: SandboxId,
        file: &FileWrite,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<FileWritten>;
    async fn download(
        &self,
        permit: &Permit<ReadFile>,
        id: SandboxId,
        file: &FileAt,
        range: Option<ByteRange>,
    ) -> Result<FileBody>;
    async fn read_archive(
        &self,
        permit: &Permit<ReadFile>,
        id: SandboxId,
        folder: &FileAt,
    ) -> Result<BoxStream<'static, Result<Bytes>>>;
    async fn write_archive(
        &self,
        permit: &Permit<WriteFile>,
        id: SandboxId,
        archive: &ArchiveWrite,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ArchiveWritten>;
    async fn stat(&self, permit: &Permit<ReadFile>, id: SandboxId, look: &FileLook) -> Result<FileStat>;
    async fn list_folder(&self, permit: &Permit<ReadFile>, id: SandboxId, list: &FolderList) -> Result<FolderPage>;
    async fn watch(
        &self,
        permit: &Permit<ReadFile>,
        id: SandboxId,
        watch: &FolderWatch,
    ) -> Result<BoxStream<'static, Result<FileEvent>>>;
    async fn make_folder(&self, permit: &Permit<WriteFile>, id: SandboxId, folder: &NewFolder) -> Result<FileStat>;
    async fn move_file(&self, permit: &Permit<WriteFile>, id: SandboxId, change: &FileMove) -> Result<FileStat>;
    async fn remove_file(&self, permit: &Permit<WriteFile>, id: SandboxId, removal: &FileRemoval) -> Result<()>;
    async fn logs(&self, permit: &Permit<ReadLogs>, query: LogQuery) -> Result<Vec<LogEntry>>;
    async fn events(&self, permit: &Permit<ReadLogs>, query: EventQuery) -> Result<Vec<EventRecord>>;
    async fn last_event(&self, permit: &Permit<ReadLogs>) -> Result<i64>;
    fn news(&self, permit: &Permit<ReadLogs>, sandbox: Option<SandboxId>) -> watch::Receiver<()>;
    fn engines(&self, permit: &Permit<ReadEngine>) -> Vec<EngineStatus>;
    async fn images(&self, permit: &Permit<ReadImage>, page: Page<ImageName>) -> Result<Vec<ImageView>>;
    async fn image(&self, permit: &Permit<ReadImage>, name: &ImageName) -> Result<ImageDetails>;
    async fn import_image(
        &self,
        permit: &Permit<ImportImage>,
        new: NewImage,
        archive: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageDetails>;
    async fn pull_image(&self, permit: &Permit<ImportImage>, name: ImageName, pull: PullRequest) -> Result<ImageJob>;
    async fn build_image(
        &self,
        permit: &Permit<ImportImage>,
        inside: (&Permit<CreateSandbox>, &Permit<Execute>),
        new: NewBuild,
        context: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageJob>;
    fn image_job(&self, permit: &Permit<ReadImage>, id: ImageJobId) -> Result<ImageJob>;
    fn image_job_log(
        &self,
        permit: &Permit<ReadImage>,
        id: ImageJobId,
        part: (u64, bool),
    ) -> Result<BoxStream<'static, Bytes>>;
    fn image_jobs(&self, permit: &Permit<ReadImage>, page: Page<ImageJobId>) -> Vec<ImageJob>;
    async fn cancel_image_job(&self, permit: &Permit<ImportImage>, id: ImageJobId) -> Result<ImageJob>;
    async fn remove_image(&self, permit: &Permit<RemoveImage>, name: &ImageName) -> Result<RemovedImages>;
    async fn prune_images(&self, permit: &Permit<RemoveImage>) -> Result<RemovedImages>;
    async fn create_key(&self, permit: &Permit<CreateKey>, new: NewKey) -> Result<(ApiKey, KeyRecord)>;
    async fn key(&self, permit: &Permit<ReadKey>, id: KeyId) -> Result<KeyRecord>;
    async fn own_key(&self, permit: &Permit<ReadSelf>) -> Result<KeyRecord>;
    async fn list_keys(&self, permit: &Permit<ReadKey>, page: Page<KeyId>) -> Result<Vec<KeyRecord>>;
    async fn revoke_key(&self, permit: &Permit<RevokeKey>, id: KeyId) -> Result<KeyRecord>;
    async fn usage(&self, permit: &Permit<ReadUsage>, query: UsageQuery) -> Result<Vec<UsageRecord>>;
    fn quotas(&self, permit: &Permit<ReadQuota>) -> Vec<Quota>;
    async fn create_webhook(&self, permit: &Permit<CreateWebhook>, new: NewWebhook) -> Result<CreatedWebhook>;
    async fn webhooks(&self, permit: &Permit<ReadWebhook>, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>>;
    async fn webhook(&self, permit: &Permit<ReadWebhook>, id: WebhookId) -> Result<WebhookRecord>;
    async fn update_webhook(
        &self,
        permit: &Permit<UpdateWebhook>,
        id: WebhookId,
        update: WebhookUpdate,
    ) -> Result<WebhookRecord>;
    async fn remove_webhook(&self, permit: &Permit<RemoveWebhook>, id: WebhookId) -> Result<()>;
    async fn test_webhook(&self, permit: &Permit<TestWebhook>, id: WebhookId) -> Result<WebhookAnswer>;
    async fn deliveries(
        &self,
        permit: &Permit<ReadWebhook>,
        id: WebhookId,
        page: Page<i64>,
    ) -> Result<Vec<DeliveryRecord>>;
    fn health(&self) -> Health;
}

/// Where to begin in each stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offsets {
    /// In standard output.
    pub stdout: u64,
    /// In standard error.
    pub stderr: u64,
}

#[async_trait]
impl Ask for Controller {
    async fn create(&self, permit: &Permit<CreateSandbox>, new: NewSandbox) -> Result<Created> {
        self.create(permit, new).await
    }

    async fn sandbox(&self, permit: &Permit<ReadSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.sandbox(permit, id).await
    }

    async fn sandboxes(
        &self,
        permit: &Permit<ReadSandbox>,
        filter: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Result<Vec<SandboxRecord>> {
        self.sandboxes(permit, filter, page).await
    }

    async fn stats(&self, permit: &Permit<ReadSandbox>, id: SandboxId) -> Result<(SandboxRecord, HostUsage)> {
        self.stats(permit, id).await
    }

    async fn destroy(&self, permit: &Permit<DestroySandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.destroy(permit, id).await
    }

    async fn update(
        &self,
        permit: &Permit<UpdateSandbox>,
        id: SandboxId,
        update: SandboxUpdate,
    ) -> Result<SandboxRecord> {
        self.update(permit, id, update).await
    }

    async fn pause(&self, permit: &Permit<PauseSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.pause(permit, id).await
    }

    async fn resume(&self, permit: &Permit<ResumeSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.resume(permit, id).await
    }

    async fn execute(&self, permit: &Permit<Execute>, id: SandboxId, new: NewExecution) -> Result<Execution> {
        self.execute(permit, id, new).await
    }

    async fn execute_once(
        &self,
        permit: &Permit<Execute>,
        create: &Permit<CreateSandbox>,
        spec: Spec,
        new: NewExecution,
    ) -> Result<Execution> {
        self.execute_once(permit, create, spec, new).await
    }

    async fn execution(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord> {
        self.execution(permit, id).await
    }

    async fn executions(
        &self,
        permit: &Permit<ReadExecution>,
        sandbox: Option<SandboxId>,
        page: Page<ExecutionId>,
    ) -> Result<Vec<ExecutionRecord>> {
        self.executions(permit, sandbox, page).await
    }

    async fn finished(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<ExecutionRecord> {
        self.finished(permit, id).await
    }

    async fn signal(&self, permit: &Permit<ControlExecution>, id: ExecutionId, signal: i32) -> Result<()> {
        self.signal(permit, id, signal).await
    }

    async fn write_stdin(
        &self,
        permit: &Permit<ControlExecution>,
        id: ExecutionId,
        part: StdinPart,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<u64> {
        self.write_stdin(permit, id, part, body).await
    }

    async fn create_context(&self, permit: &Permit<Execute>, id: SandboxId, new: NewContext) -> Result<ContextId> {
        self.create_context(permit, id, new).await
    }

    async fn contexts(&self, permit: &Permit<ReadExecution>, id: SandboxId) -> Result<Vec<OpenContext>> {
        self.contexts(permit, id).await
    }

    async fn remove_context(&self, permit: &Permit<Execute>, id: SandboxId, context: ContextId) -> Result<()> {
        self.remove_context(permit, id, context).await
    }

    async fn attach(
        &self,
        permit: &Permit<ControlExecution>,
        id: SandboxId,
        terminal: ExecutionId,
    ) -> Result<Option<Attached>> {
        self.attach(permit, id, terminal).await
    }

    async fn type_into(
        &self,
        permit: &Permit<ControlExecution>,
        id: ExecutionId,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()> {
        self.type_into(permit, id, body).await
    }

    async fn resize(&self, permit: &Permit<ControlExecution>, id: ExecutionId, size: TerminalSize) -> Result<()> {
        self.resize(permit, id, size).await
    }

    async fn connect(&self, permit: &Permit<ConnectPort>, id: SandboxId, port: u16) -> Result<PortStream> {
        self.connect(permit, id, port).await
    }

    async fn follow(
        &self,
        permit: &Permit<ReadExecution>,
        id: ExecutionId,
        offsets: Offsets,
    ) -> Result<BoxStream<'static, Result<OutputEvent>>> {
        self.follow(permit, id, offsets.stdout, offsets.stderr).await
    }

    async fn output(&self, permit: &Permit<ReadExecution>, id: ExecutionId, part: OutputPart) -> Result<Bytes> {
        self.output(permit, id, part).await
    }

    async fn upload(
        &self,
        permit: &Permit<WriteFile>,
        id: SandboxId,
        file: &FileWrite,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<FileWritten> {
        self.upload(permit, id, file, body).await
    }

    async fn download(
        &self,
        permit: &Permit<ReadFile>,
        id: SandboxId,
        file: &FileAt,
        range: Option<ByteRange>,
    ) -> Result<FileBody> {
        self.download(permit, id, file, range).await
    }

    async fn read_archive(
        &self,
        permit: &Permit<ReadFile>,
        id: SandboxId,
        folder: &FileAt,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.read_archive(permit, id, folder).await
    }

    async fn write_archive(
        &self,
        permit: &Permit<WriteFile>,
        id: SandboxId,
        archive: &ArchiveWrite,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ArchiveWritten> {
        self.write_archive(permit, id, archive, body).await
    }

    async fn stat(&self, permit: &Permit<ReadFile>, id: SandboxId, look: &FileLook) -> Result<FileStat> {
        self.stat(permit, id, look).await
    }

    async fn list_folder(&self, permit: &Permit<ReadFile>, id: SandboxId, list: &FolderList) -> Result<FolderPage> {
        self.list_folder(permit, id, list).await
    }

    async fn watch(
        &self,
        permit: &Permit<ReadFile>,
        id: SandboxId,
        watch: &FolderWatch,
    ) -> Result<BoxStream<'static, Result<FileEvent>>> {
        self.watch(permit, id, watch).await
    }

    async fn make_folder(&self, permit: &Permit<WriteFile>, id: SandboxId, folder: &NewFolder) -> Result<FileStat> {
        self.make_folder(permit, id, folder).await
    }

    async fn move_file(&self, permit: &Permit<WriteFile>, id: SandboxId, change: &FileMove) -> Result<FileStat> {
        self.move_file(permit, id, change).await
    }

    async fn remove_file(&self, permit: &Permit<WriteFile>, id: SandboxId, removal: &FileRemoval) -> Result<()> {
        self.remove_file(permit, id, removal).await
    }

    async fn logs(&self, permit: &Permit<ReadLogs>, query: LogQuery) -> Result<Vec<LogEntry>> {
        self.logs(permit, query).await
    }

    async fn events(&self, permit: &Permit<ReadLogs>, query: EventQuery) -> Result<Vec<EventRecord>> {
        self.events(permit, query).await
    }

    async fn last_event(&self, permit: &Permit<ReadLogs>) -> Result<i64> {
        self.last_event(permit).await
    }

    fn news(&self, permit: &Permit<ReadLogs>, sandbox: Option<SandboxId>) -> watch::Receiver<()> {
        self.news(permit, sandbox)
    }

    fn engines(&self, permit: &Permit<ReadEngine>) -> Vec<EngineStatus> {
        self.engines(permit)
    }

    async fn images(&self, permit: &Permit<ReadImage>, page: Page<ImageName>) -> Result<Vec<ImageView>> {
        self.images(permit, page).await
    }

    async fn image(&self, permit: &Permit<ReadImage>, name: &ImageName) -> Result<ImageDetails> {
        self.image(permit, name).await
    }

    async fn import_image(
        &self,
        permit: &Permit<ImportImage>,
        new: NewImage,
        archive: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageDetails> {
        self.import_image(permit, new, archive).await
    }

    async fn pull_image(&self, permit: &Permit<ImportImage>, name: ImageName, pull: PullRequest) -> Result<ImageJob> {
        self.pull_image(permit, name, pull).await
    }

    async fn build_image(
        &self,
        permit: &Permit<ImportImage>,
        inside: (&Permit<CreateSandbox>, &Permit<Execute>),
        new: NewBuild,
        context: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ImageJob> {
        self.build_image(permit, inside, new, context).await
    }

    fn image_job(&self, permit: &Permit<ReadImage>, id: ImageJobId) -> Result<ImageJob> {
        self.image_job(permit, id)
    }

    fn image_job_log(
        &self,
        permit: &Permit<ReadImage>,
        id: ImageJobId,
        part: (u64, bool),
    ) -> Result<BoxStream<'static, Bytes>> {
        self.image_job_log(permit, id, part)
    }

    fn image_jobs(&self, permit: &Permit<ReadImage>, page: Page<ImageJobId>) -> Vec<ImageJob> {
        self.image_jobs(permit, page)
    }

    async fn cancel_image_job(&self, permit: &Permit<ImportImage>, id: ImageJobId) -> Result<ImageJob> {
        self.cancel_image_job(permit, id).await
    }

    async fn remove_image(&self, permit: &Permit<RemoveImage>, name: &ImageName) -> Result<RemovedImages> {
        self.remove_image(permit, name).await
    }

    async fn prune_images(&self, permit: &Permit<RemoveImage>) -> Result<RemovedImages> {
        self.prune_images(permit).await
    }

    async fn create_key(&self, permit: &Permit<CreateKey>, new: NewKey) -> Result<(ApiKey, KeyRecord)> {
        self.create_key(permit, new).await
    }

    async fn key(&self, permit: &Permit<ReadKey>, id: KeyId) -> Result<KeyRecord> {
        self.key(permit, id).await
    }

    async fn own_key(&self, permit: &Permit<ReadSelf>) -> Result<KeyRecord> {
        self.own_key(permit).await
    }

    async fn list_keys(&self, permit: &Permit<ReadKey>, page: Page<KeyId>) -> Result<Vec<KeyRecord>> {
        self.list_keys(permit, page).await
    }

    async fn revoke_key(&self, permit: &Permit<RevokeKey>, id: KeyId) -> Result<KeyRecord> {
        self.revoke_key(permit, id).await
    }

    async fn usage(&self, permit: &Permit<ReadUsage>, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        self.usage(permit, query).await
    }

    fn quotas(&self, permit: &Permit<ReadQuota>) -> Vec<Quota> {
        self.quotas(permit)
    }

    async fn create_webhook(&self, permit: &Permit<CreateWebhook>, new: NewWebhook) -> Result<CreatedWebhook> {
        self.create_webhook(permit, new).await
    }

    async fn webhooks(&self, permit: &Permit<ReadWebhook>, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>> {
        self.webhooks(permit, page).await
    }

    async fn webhook(&self, permit: &Permit<ReadWebhook>, id: WebhookId) -> Result<WebhookRecord> {
        self.webhook(permit, id).await
    }

    async fn update_webhook(
        &self,
        permit: &Permit<UpdateWebhook>,
        id: WebhookId,
        update: WebhookUpdate,
    ) -> Result<WebhookRecord> {
        self.update_webhook(permit, id, update).await
    }

    async fn remove_webhook(&self, permit: &Permit<RemoveWebhook>, id: WebhookId) -> Result<()> {
        self.remove_webhook(permit, id).await
    }

    async fn test_webhook(&self, permit: &Permit<TestWebhook>, id: WebhookId) -> Result<WebhookAnswer> {
        self.test_webhook(permit, id).await
    }

    async fn deliveries(
        &self,
        permit: &Permit<ReadWebhook>,
        id: WebhookId,
        page: Page<i64>,
    ) -> Result<Vec<DeliveryRecord>> {
        self.deliveries(permit, id, page).await
    }

    fn health(&self) -> Health {
        self.health()
    }
}
