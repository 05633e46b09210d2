//! Files of sandboxes, as the fake has it.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use sentinal_auth::{Permit, ReadFile, WriteFile};
use sentinal_controller::FileBody;
use sentinal_gateway::AskFiles;
use sentinal_model::{
    ArchiveWrite, ArchiveWritten, ByteRange, Code, Error, FileAt, FileChange, FileEvent, FileKind, FileLook, FileMove,
    FileRemoval, FileStat, FileWrite, FileWritten, FolderEntry, FolderList, FolderPage, FolderWatch, NewFolder, Result,
    SandboxId, WritePlace,
};

use super::{Fake, NOW};

#[async_trait]
impl AskFiles for Fake {
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
