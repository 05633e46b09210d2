//! Reads and follows the output of executions, running or finished.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use sentinal_auth::{Permit, ReadExecution};
use sentinal_model::{Error, ExecutionId, Result, Stream};
use sentinal_store::{ExecutionRecord, ExecutionState, OutputPlace};
use tokio::sync::watch;

use crate::{
    api::{Controller, OutputEvent},
    live::{Live, Progress},
    outputs::{OutputFile, OutputFiles},
    spool,
};

/// How much output one event carries.
const EVENT_BYTES_MAX: u64 = 64 * 1024;

impl Controller {
    /// Stored output of one stream from `offset`, at most `bytes_max`, as far as it is there now.
    pub async fn output(&self, permit: &Permit<ReadExecution>, id: ExecutionId, part: OutputPart) -> Result<Bytes> {
        let source = self.source(permit, id).await?;
        source.read(self.context.outputs().as_ref(), part).await
    }

    /// Output from byte offsets on as it comes, then the end; also of an execution that has ended. A follower that does
    /// not read holds up nobody but itself.
    pub async fn follow(
        &self,
        permit: &Permit<ReadExecution>,
        id: ExecutionId,
        stdout_offset: u64,
        stderr_offset: u64,
    ) -> Result<BoxStream<'static, Result<OutputEvent>>> {
        let source = self.source(permit, id).await?;
        let files = Arc::clone(self.context.outputs());
        Ok(Follower { source, files, stdout_offset, stderr_offset, done: false }.stream())
    }

    /// All output of an execution that was started here a moment ago, then the end.
    pub(crate) async fn follow_own(&self, id: ExecutionId) -> Result<BoxStream<'static, Result<OutputEvent>>> {
        let source = if let Some(live) = self.context.live.get(id) {
            let progress = live.progress();
            Source::Live(live, progress)
        } else {
            let record = self.context.store().execution(id).await?;
            Source::Record(Arc::new(record.ok_or_else(|| Error::not_found(format!("execution {id} is gone")))?))
        };
        let files = Arc::clone(self.context.outputs());
        Ok(Follower { source, files, stdout_offset: 0, stderr_offset: 0, done: false }.stream())
    }

    async fn source(&self, permit: &Permit<ReadExecution>, id: ExecutionId) -> Result<Source> {
        // The live one first: it leaves that table only after the store has its end.
        if let Some(live) = self.context.live.get(id).filter(|live| live.record.tenant == *permit.tenant()) {
            let progress = live.progress();
            return Ok(Source::Live(live, progress));
        }
        self.execution(permit, id).await.map(|record| Source::Record(Arc::new(record)))
    }
}

/// Which bytes of an execution's output.
#[derive(Debug, Clone, Copy)]
pub struct OutputPart {
    /// Of which stream.
    pub stream: Stream,
    /// From this byte on.
    pub offset: u64,
    /// At most so many.
    pub bytes_max: u64,
}

/// Where output is read from.
enum Source {
    Live(Arc<Live>, watch::Receiver<Progress>),
    Record(Arc<ExecutionRecord>),
}

impl Source {
    async fn read(&self, files: &dyn OutputFiles, part: OutputPart) -> Result<Bytes> {
        let read = match self {
            Self::Live(live, _) => live.spool(part.stream).read(part.offset, part.bytes_max).await,
            Self::Record(record) => return read_record(record, files, part).await,
        };
        read.map_err(|error| Error::internal(&error))
    }

    /// For one who follows: of what was not stored the last is there as long as somebody holds it.
    async fn read_on(&self, files: &dyn OutputFiles, part: OutputPart) -> Result<(u64, Bytes)> {
        match self {
            Self::Live(live, _) => {
                let read = live.spool(part.stream).read_on(part.offset, part.bytes_max).await;
                read.map_err(|error| Error::internal(&error))
            }
            Self::Record(_) => Ok((part.offset, self.read(files, part).await?)),
        }
    }
}

/// Output of a finished execution; empty of one that an earlier server left running.
pub(crate) async fn read_record(record: &ExecutionRecord, files: &dyn OutputFiles, part: OutputPart) -> Result<Bytes> {
    let ExecutionState::Finished { stdout, stderr, .. } = &record.state else { return Ok(Bytes::new()) };
    let output = match part.stream {
        Stream::Stdout => stdout,
        Stream::Stderr => stderr,
    };
    match &output.place {
        OutputPlace::Row(bytes) => Ok(Bytes::copy_from_slice(spool::slice(bytes, part.offset, part.bytes_max))),
        OutputPlace::File => {
            let left = output.bytes_stored.saturating_sub(part.offset);
            let file = OutputFile { execution: record.id, stream: part.stream };
            spool::read_file(files, file, part.offset, part.bytes_max.min(left))
                .await
                .map_err(|error| Error::internal(&error))
        }
    }
}

/// One client's place in an execution's output.
struct Follower {
    source: Source,
    files: Arc<dyn OutputFiles>,
    stdout_offset: u64,
    stderr_offset: u64,
    done: bool,
}

impl Follower {
    fn stream(self) -> BoxStream<'static, Result<OutputEvent>> {
        stream::unfold(self, |mut follower| async move {
            let event = follower.next().await?;
            Some((event, follower))
        })
        .boxed()
    }

    async fn next(&mut self) -> Option<Result<OutputEvent>> {
        while !self.done {
            // Looked at before the output: what comes later wakes the wait below.
            let finished = match &mut self.source {
                Source::Live(_, progress) => progress.borrow_and_update().finished.clone(),
                Source::Record(record) => Some(Arc::clone(record)),
            };
            for stream in Stream::ALL {
                match self.read(stream).await {
                    Ok(Some(event)) => return Some(Ok(event)),
                    Ok(None) => {}
                    Err(error) => return Some(self.end(Err(error))),
                }
            }
            if let Some(record) = finished {
                return Some(self.end(Ok(OutputEvent::Finished(Box::new(ExecutionRecord::clone(&record))))));
            }
            if let Source::Live(_, progress) = &mut self.source
                && progress.changed().await.is_err()
            {
                return None;
            }
        }
        None
    }

    async fn read(&mut self, stream: Stream) -> Result<Option<OutputEvent>> {
        let at = match stream {
            Stream::Stdout => &mut self.stdout_offset,
            Stream::Stderr => &mut self.stderr_offset,
        };
        let part = OutputPart { stream, offset: *at, bytes_max: EVENT_BYTES_MAX };
        let (offset, data) = self.source.read_on(self.files.as_ref(), part).await?;
        if data.is_empty() {
            return Ok(None);
        }
        *at = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        Ok(Some(OutputEvent::Output { stream, offset, data }))
    }

    const fn end(&mut self, last: Result<OutputEvent>) -> Result<OutputEvent> {
        self.done = true;
        last
    }
}
