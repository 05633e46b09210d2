//! The disk that holds output: it outlives servers, and of what was not synced it forgets some when the host restarts.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use sentinal_controller::{OutputFile, OutputFiles};
use sentinal_model::{ExecutionId, Stream};

use crate::{
    life::Life,
    sabotage::Sabotage,
    world::{World, lock},
};

type Key = (ExecutionId, &'static str);

/// All output files.
#[derive(Debug, Default)]
pub(crate) struct OutputDisk(Mutex<BTreeMap<Key, File>>);

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    synced: usize,
}

impl OutputDisk {
    /// What of a file would outlive the host.
    pub(crate) fn synced(&self, file: OutputFile) -> Vec<u8> {
        lock(&self.0).get(&key(file)).map(|file| file.bytes[..file.synced].to_vec()).unwrap_or_default()
    }

    /// The host restarts.
    pub(crate) fn restart(&self, world: &World) {
        for file in lock(&self.0).values_mut() {
            file.bytes.truncate(world.pick(file.synced..=file.bytes.len()));
            file.synced = file.bytes.len();
        }
    }

    /// Every execution that has a file.
    pub(crate) fn executions(&self) -> Vec<ExecutionId> {
        let mut executions: Vec<_> = lock(&self.0).keys().map(|(id, _)| *id).collect();
        executions.dedup();
        executions
    }
}

const fn key(file: OutputFile) -> Key {
    (file.execution, file.stream.as_str())
}

/// The disk, as one run of the server uses it.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) world: Arc<World>,
    pub(crate) life: Life,
    pub(crate) disk: Arc<OutputDisk>,
}

impl Outputs {
    fn file<T>(&self, file: OutputFile, change: impl FnOnce(&mut File) -> T) -> T {
        change(lock(&self.disk.0).entry(key(file)).or_default())
    }
}

#[async_trait]
impl OutputFiles for Outputs {
    async fn length(&self, file: OutputFile) -> io::Result<u64> {
        self.world.step(&self.life, "looks at output").await;
        let length = lock(&self.disk.0).get(&key(file)).map_or(0, |file| file.bytes.len());
        Ok(u64::try_from(length).unwrap_or(u64::MAX))
    }

    async fn write(&self, file: OutputFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.world.step(&self.life, "writes output").await;
        let full = self.world.fails(self.world.plan.disk_full);
        let mut kept = if full { self.world.pick(0..=bytes.len()) } else { bytes.len() };
        if self.world.sabotaged(Sabotage::OutputLosesBytes) {
            kept = kept.saturating_sub(1);
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let hole = self.file(file, |file| {
            let hole = file.bytes.len() < offset;
            file.bytes.truncate(offset);
            file.bytes.extend_from_slice(&bytes[..kept]);
            file.synced = file.synced.min(offset);
            hole
        });
        if hole && self.world.plan.sabotage == Sabotage::None {
            self.world.wrong(format_args!("{} {} is written with a hole", file.execution, file.stream.as_str()));
        }
        self.world.step(&self.life, "wrote output").await;
        if full { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }

    async fn read(&self, file: OutputFile, offset: u64, bytes_max: u64) -> io::Result<Bytes> {
        self.life.alive().await;
        let files = lock(&self.disk.0);
        let file = files.get(&key(file)).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(file.bytes.len());
        let end = begin.saturating_add(usize::try_from(bytes_max).unwrap_or(usize::MAX)).min(file.bytes.len());
        Ok(Bytes::copy_from_slice(&file.bytes[begin..end]))
    }

    async fn sync(&self, file: OutputFile) -> io::Result<()> {
        self.world.step(&self.life, "syncs output").await;
        if self.world.fails(self.world.plan.disk_full) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.file(file, |file| file.synced = file.bytes.len());
        Ok(())
    }

    async fn remove(&self, file: OutputFile) -> io::Result<()> {
        self.world.step(&self.life, "removes output").await;
        lock(&self.disk.0).remove(&key(file));
        Ok(())
    }

    async fn executions(&self) -> io::Result<Vec<ExecutionId>> {
        self.world.step(&self.life, "lists output").await;
        Ok(self.disk.executions())
    }
}

/// The file of a stream.
pub(crate) const fn file(execution: ExecutionId, stream: Stream) -> OutputFile {
    OutputFile { execution, stream }
}
