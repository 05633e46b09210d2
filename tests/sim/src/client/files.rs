//! Files, and what must be true of each answer about them.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use sentinal_auth::{ReadFile, WriteFile};
use sentinal_controller::Controller;
use sentinal_model::{FileAt, FileWrite, GuestPath, SandboxId};

use super::{Client, PATIENCE};
use crate::{journal::FilePromise, permits::permit};

impl Client {
    pub(super) async fn upload(&self, sandbox: SandboxId) {
        let world = &self.site.world;
        let path = format!("file-{}", world.pick(0..1_000_000));
        let file = FilePromise { path, byte: world.pick(0..=255), size: world.pick(0..100_000) };
        let Ok(guest): Result<GuestPath, _> = file.path.parse() else { return };
        let body = Bytes::from(vec![file.byte; file.size]);
        let permit = permit::<WriteFile>();
        let upload = |controller: Controller| async move {
            controller.upload(&permit, sandbox, &FileWrite::ordinary(guest), stream::iter([Ok(body)]).boxed()).await
        };
        if let Some(Ok(_)) = self.ask("upload", PATIENCE, upload).await {
            self.site.journal.sandbox(sandbox, |promise| promise.files.push(file));
        }
    }

    pub(super) async fn download(&self, sandbox: SandboxId) {
        let files = self.site.journal.sandboxes().remove(&sandbox).unwrap_or_default().files;
        for file in files {
            self.downloaded(sandbox, &file).await;
        }
    }

    /// An acknowledged file is there, byte for byte, as long as its sandbox runs.
    pub(crate) async fn downloaded(&self, sandbox: SandboxId, file: &FilePromise) -> bool {
        let Ok(guest): Result<GuestPath, _> = file.path.parse() else { return false };
        let permit = permit::<ReadFile>();
        let download = |controller: Controller| async move {
            let body = controller.download(&permit, sandbox, &FileAt::ordinary(guest), None).await?;
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
}
