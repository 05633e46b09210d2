//! Files into and out of a sandbox.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future, stream::BoxStream};
use sentinal_agent_client::Agent;
use sentinal_auth::{Permit, ReadFile, WriteFile};
use sentinal_model::{
    ArchiveWrite, ArchiveWritten, ByteRange, Code, Error, FileAt, FileEvent, FileLook, FileMove, FileRemoval, FileStat,
    FileWrite, FileWritten, FolderList, FolderPage, FolderWatch, NewFolder, Phase, Result, SandboxId, TenantId, limits,
};
use sentinal_store::{NewEvent, Write};
use tokio::time::timeout;

use crate::{
    activity::Use,
    api::{Controller, FileBody},
    events, lease,
    sandboxes::{not_running, running, unknown},
    transfers::{Party, Passed},
};

impl Controller {
    /// Writes one file into a sandbox; answers its size. A body that ends with an error leaves nothing behind, unless it
    /// was to go after what is there.
    pub async fn upload(
        &self,
        permit: &Permit<WriteFile>,
        id: SandboxId,
        file: &FileWrite,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<FileWritten> {
        let (agent, used) = self.agent(permit.tenant(), id).await?;
        let passed = Passed::default();
        let written = agent.write_file(file, passed.count(body)).await.map_err(Error::from)?;
        let now = self.context.now();
        let event = events::file_uploaded(permit.tenant(), id, now, (&file.at.path, written.bytes));
        let uploaded = passed.uploaded(Party::of(permit, &used), now);
        self.context.write(vec![Write::Event(event), uploaded]).await?;
        Ok(written)
    }

    /// Opens a file of a sandbox, or a part of it.
    pub async fn download(
        &self,
        permit: &Permit<ReadFile>,
        id: SandboxId,
        file: &FileAt,
        range: Option<ByteRange>,
    ) -> Result<FileBody> {
        let (agent, used) = self.agent(permit.tenant(), id).await?;
        let reading = agent.read_file(file, range).await.map_err(Error::from)?;
        let (size, part) = (reading.size, reading.part);
        let bytes = reading.bytes().map_err(Error::from);
        Ok(FileBody { size, part, bytes: self.counted(permit, used, bytes.boxed()) })
    }

    /// What somebody reads, as it is taken; the sandbox is in use that long.
    fn counted(
        &self,
        permit: &Permit<ReadFile>,
        used: Use,
        bytes: BoxStream<'static, Result<Bytes>>,
    ) -> BoxStream<'static, Result<Bytes>> {
        let (context, party) = (Arc::clone(&self.context), Party::of(permit, &used));
        let held = move |piece: &Result<Bytes>| {
            let _ = &used;
            context.downloads.add(&party, piece);
        };
        bytes.inspect(held).boxed()
    }

    /// A folder as a tar stream.
    pub async fn read_archive(
        &self,
        permit: &Permit<ReadFile>,
        id: SandboxId,
        folder: &FileAt,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let (agent, used) = self.agent(permit.tenant(), id).await?;
        let bytes = agent.read_archive(folder).await?.map_err(Error::from);
        Ok(self.counted(permit, used, bytes.boxed()))
    }

    /// Unpacks a tar stream into a folder. What was unpacked before something is refused stays.
    pub async fn write_archive(
        &self,
        permit: &Permit<WriteFile>,
        id: SandboxId,
        archive: &ArchiveWrite,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ArchiveWritten> {
        let (agent, used) = self.agent(permit.tenant(), id).await?;
        let passed = Passed::default();
        let written = agent.write_archive(archive, passed.count(body)).await.map_err(Error::from)?;
        let now = self.context.now();
        let event = events::archive_unpacked(permit.tenant(), id, now, (&archive.at.path, written));
        let uploaded = passed.uploaded(Party::of(permit, &used), now);
        self.context.write(vec![Write::Event(event), uploaded]).await?;
        Ok(written)
    }

    /// What a file is.
    pub async fn stat(&self, permit: &Permit<ReadFile>, id: SandboxId, look: &FileLook) -> Result<FileStat> {
        let (agent, _used) = self.agent(permit.tenant(), id).await?;
        Ok(agent.stat(look).await?)
    }

    /// A part of what is in a folder.
    pub async fn list_folder(&self, permit: &Permit<ReadFile>, id: SandboxId, list: &FolderList) -> Result<FolderPage> {
        let (agent, _used) = self.agent(permit.tenant(), id).await?;
        Ok(agent.list_folder(list).await?)
    }

    /// What happens in a folder, until the folder or the sandbox is gone, or nobody reads.
    pub async fn watch(
        &self,
        permit: &Permit<ReadFile>,
        id: SandboxId,
        watch: &FolderWatch,
    ) -> Result<BoxStream<'static, Result<FileEvent>>> {
        let (agent, used) = self.agent(permit.tenant(), id).await?;
        let events = agent.watch(watch).await?.map_err(Error::from);
        let entry = Arc::clone(used.entry());
        let over = async move { agent.forgotten().await };
        // A connection that breaks with its sandbox is the end; otherwise something may have been missed.
        let events = events.take_until(over).take_while(move |event| {
            let is_end = event.is_err() && !matches!(entry.record().phase, Phase::Running(_) | Phase::Paused(_));
            future::ready(!is_end)
        });
        // In use as long as somebody watches.
        Ok(events.inspect(move |_| _ = &used).boxed())
    }

    /// Makes a folder.
    pub async fn make_folder(&self, permit: &Permit<WriteFile>, id: SandboxId, folder: &NewFolder) -> Result<FileStat> {
        let (agent, _used) = self.agent(permit.tenant(), id).await?;
        let made = agent.make_folder(folder).await?;
        self.happened(events::folder_created(permit.tenant(), id, self.context.now(), &folder.at.path)).await?;
        Ok(made)
    }

    /// Gives a file or folder another path.
    pub async fn move_file(&self, permit: &Permit<WriteFile>, id: SandboxId, change: &FileMove) -> Result<FileStat> {
        let (agent, _used) = self.agent(permit.tenant(), id).await?;
        let moved = agent.move_file(change).await?;
        self.happened(events::file_moved(permit.tenant(), id, self.context.now(), change)).await?;
        Ok(moved)
    }

    /// Removes a file or folder.
    pub async fn remove_file(&self, permit: &Permit<WriteFile>, id: SandboxId, removal: &FileRemoval) -> Result<()> {
        let (agent, _used) = self.agent(permit.tenant(), id).await?;
        agent.remove_file(removal).await?;
        self.happened(events::file_removed(permit.tenant(), id, self.context.now(), &removal.at.path)).await
    }

    pub(crate) async fn happened(&self, event: NewEvent) -> Result<()> {
        self.context.write(vec![Write::Event(event)]).await
    }

    /// The agent of a sandbox, as soon as the sandbox runs, for one use.
    pub(crate) async fn agent(&self, tenant: &TenantId, id: SandboxId) -> Result<(Agent, Use)> {
        let entry = self.entry(tenant, id).await?;
        let record = running(&entry, limits::WAIT_DEFAULT).await?;
        if let Some(error) = not_running(&record) {
            return Err(error);
        }
        let used = Use::begin(&entry, lease::USE_MIN).ok_or_else(|| unknown(id))?;
        lease::tell(&self.context, &entry);
        let agent = timeout(limits::AGENT_ANSWER_DEADLINE, entry.agent()).await.ok().flatten();
        let agent =
            agent.ok_or_else(|| Error::new(Code::Unavailable, "the sandbox's agent is not connected; try again"))?;
        Ok((agent, used))
    }
}
