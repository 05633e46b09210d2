//! Where output is kept that is too large for a row: one file for each stream of an execution.

use std::{
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use bytes::Bytes;
use sentinal_model::{ExecutionId, Stream};
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

/// Whose output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutputFile {
    /// Which execution.
    pub execution: ExecutionId,
    /// Which stream of it.
    pub stream: Stream,
}

/// The files. What a write has answered outlives this server; what a sync has answered outlives the host.
#[async_trait]
pub trait OutputFiles: Send + Sync + std::fmt::Debug {
    /// How long a file is; zero if there is none.
    async fn length(&self, file: OutputFile) -> io::Result<u64>;

    /// Writes from `offset` on, which is not beyond the file's end; makes the file if there is none. A write that
    /// fails may leave some of its bytes, but takes none from before `offset`.
    async fn write(&self, file: OutputFile, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Bytes from `offset`, at most `bytes_max`.
    async fn read(&self, file: OutputFile, offset: u64, bytes_max: u64) -> io::Result<Bytes>;

    /// Returns when everything written is on the disk.
    async fn sync(&self, file: OutputFile) -> io::Result<()>;

    /// Removes a file; succeeds when there is none.
    async fn remove(&self, file: OutputFile) -> io::Result<()>;

    /// Every execution that has a file.
    async fn executions(&self) -> io::Result<Vec<ExecutionId>>;
}

/// A folder that exists and in which nobody else writes.
#[derive(Debug, Clone)]
pub struct OutputFolder(PathBuf);

impl OutputFolder {
    /// The files in this folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    fn path(&self, file: OutputFile) -> PathBuf {
        self.0.join(format!("{}.{}", file.execution, file.stream.as_str()))
    }
}

#[async_trait]
impl OutputFiles for OutputFolder {
    async fn length(&self, file: OutputFile) -> io::Result<u64> {
        match tokio::fs::metadata(self.path(file)).await {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    async fn write(&self, file: OutputFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(self.path(file)).await?;
        let written = async {
            file.seek(io::SeekFrom::Start(offset)).await?;
            file.write_all(bytes).await?;
            file.flush().await
        };
        let written = written.await;
        if written.is_err() {
            // On a full disk every byte counts.
            let _ = file.set_len(offset).await;
        }
        written
    }

    async fn read(&self, file: OutputFile, offset: u64, bytes_max: u64) -> io::Result<Bytes> {
        let mut file = File::open(self.path(file)).await?;
        file.seek(io::SeekFrom::Start(offset)).await?;
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes).await?;
        Ok(Bytes::from(bytes))
    }

    async fn sync(&self, file: OutputFile) -> io::Result<()> {
        File::open(self.path(file)).await?.sync_data().await
    }

    async fn remove(&self, file: OutputFile) -> io::Result<()> {
        match tokio::fs::remove_file(self.path(file)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn executions(&self) -> io::Result<Vec<ExecutionId>> {
        let mut files = tokio::fs::read_dir(&self.0).await?;
        let mut executions = Vec::new();
        while let Some(file) = files.next_entry().await? {
            executions.extend(execution_of(&file.path()));
        }
        executions.sort_unstable();
        executions.dedup();
        Ok(executions)
    }
}

fn execution_of(path: &Path) -> Option<ExecutionId> {
    path.file_stem()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: OutputFile = OutputFile { execution: ExecutionId::from_bytes([1; 16]), stream: Stream::Stdout };

    #[tokio::test]
    async fn what_was_written_is_read_back_from_any_offset() {
        let folder = tempfile::tempdir().unwrap();
        let files = OutputFolder::new(folder.path());
        files.write(FILE, 0, b"hello").await.unwrap();
        files.write(FILE, 4, b"o world").await.unwrap();
        files.sync(FILE).await.unwrap();
        assert_eq!(files.length(FILE).await.unwrap(), 11);
        assert_eq!(files.read(FILE, 6, 3).await.unwrap(), "wor");
        assert_eq!(files.read(FILE, 100, 3).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_has_no_length_and_can_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        let files = OutputFolder::new(folder.path());
        assert_eq!(files.length(FILE).await.unwrap(), 0);
        files.remove(FILE).await.unwrap();
        files.write(FILE, 0, b"hello").await.unwrap();
        files.remove(FILE).await.unwrap();
        assert_eq!(files.length(FILE).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn foreign_files_belong_to_no_execution() {
        let folder = tempfile::tempdir().unwrap();
        let files = OutputFolder::new(folder.path());
        std::fs::write(folder.path().join("lost+found"), "").unwrap();
        files.write(FILE, 0, b"hello").await.unwrap();
        files.write(OutputFile { stream: Stream::Stderr, ..FILE }, 0, b"hello").await.unwrap();
        assert_eq!(files.executions().await.unwrap(), [FILE.execution]);
    }
}
