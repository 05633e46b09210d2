//! Files of sandboxes, as the gateway asks for it.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sentinal_auth::{Permit, ReadFile, WriteFile};
use sentinal_controller::{Controller, FileBody};
use sentinal_model::{
    ArchiveWrite, ArchiveWritten, ByteRange, FileAt, FileEvent, FileLook, FileMove, FileRemoval, FileStat, FileWrite,
    FileWritten, FolderList, FolderPage, FolderWatch, NewFolder, Result, SandboxId,
};

/// Files of sandboxes.
#[async_trait]
#[expect(missing_docs, reason = "the controller's own methods say it")]
pub trait AskFiles: Send + Sync {
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
}

#[async_trait]
impl AskFiles for Controller {
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
}
