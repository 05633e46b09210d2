//! Programs in sandboxes, and what they say, as the fake has it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use sentinal_auth::{ControlExecution, CreateSandbox, Execute, Permit, ReadExecution};
use sentinal_controller::{
    Execution, ExecutionRecord, ExecutionState, NewExecution, Output, OutputEvent, OutputPart, OutputPlace, Page,
};
use sentinal_gateway::{AskExecutions, Offsets};
use sentinal_model::{
    Code, Ended, Error, ExecutionId, ExecutionOutcome, Result, Results, SandboxId, Spec, StdinPart, Stream, TenantId,
    Usage,
};

use super::{Fake, NOW};

impl Fake {
    pub(super) fn start(&self, sandbox: SandboxId, new: NewExecution) -> Execution {
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

    pub(super) fn record(&self, id: ExecutionId) -> Result<ExecutionRecord> {
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

#[async_trait]
impl AskExecutions for Fake {
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
}
