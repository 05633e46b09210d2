//! What one stream of a running execution has written: in memory while it is small, then in a file. Readers
//! take from any offset and never hold up the writer.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use sentinal_model::limits;
use sentinal_store::{Output, OutputPlace};

use crate::outputs::{OutputFile, OutputFiles};

/// How much is kept, in memory, of output that is over the limit.
const TAIL_BYTES: usize = 256 * 1024;

/// One stream's output so far.
#[derive(Debug)]
pub(crate) struct Spool {
    files: Arc<dyn OutputFiles>,
    file: OutputFile,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How much may be stored.
    stored_max: u64,
    /// All of it, as long as `in_file` is false.
    memory: Vec<u8>,
    in_file: bool,
    stored: u64,
    total: u64,
    tail: Tail,
}

/// The last of what is not stored, for those who follow.
#[derive(Debug, Default)]
struct Tail {
    /// Offset after the last byte.
    end: u64,
    bytes: VecDeque<u8>,
}

impl Tail {
    /// Adds bytes that end at `end`.
    fn push(&mut self, bytes: &[u8], end: u64) {
        let surplus = (self.bytes.len() + bytes.len()).saturating_sub(TAIL_BYTES);
        self.bytes.drain(..surplus.min(self.bytes.len()));
        self.bytes.extend(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
        self.end = end;
    }

    /// At most `bytes_max` from `offset` on, or from the first byte after it that is held.
    fn read(&self, offset: u64, bytes_max: u64) -> (u64, Bytes) {
        let start = self.end.saturating_sub(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX));
        let offset = offset.max(start);
        let skipped = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let most = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        (offset, self.bytes.iter().copied().skip(skipped).take(most).collect())
    }
}

impl State {
    /// What of `data` is new and within the limit.
    fn fresh<'a>(&self, offset: u64, data: &'a [u8]) -> io::Result<&'a [u8]> {
        let room = self.stored_max.saturating_sub(self.stored);
        if offset > self.total && room > 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the agent left a hole in the output"));
        }
        let known = usize::try_from(self.total.saturating_sub(offset)).unwrap_or(usize::MAX).min(data.len());
        let fresh = &data[known..];
        Ok(&fresh[..fresh.len().min(usize::try_from(room).unwrap_or(usize::MAX))])
    }

    /// `data` has come, and `fresh` of it is stored.
    fn took(&mut self, offset: u64, data: &[u8], fresh: &[u8]) {
        let total = self.total.max(offset.saturating_add(length(data)));
        let left = usize::try_from(total - self.total - length(fresh)).unwrap_or(usize::MAX).min(data.len());
        if 0 < left {
            self.tail.push(&data[data.len() - left..], total);
        }
        self.total = total;
        self.stored += length(fresh);
    }
}

impl Spool {
    /// Stores up to `stored_max` bytes.
    pub(crate) fn new(files: Arc<dyn OutputFiles>, file: OutputFile, stored_max: u64) -> Self {
        Self { files, file, state: Mutex::new(State { stored_max, ..State::default() }) }
    }

    /// Goes on where an earlier server stopped: at the end of the file, or at the beginning if there is none.
    pub(crate) async fn resume(files: Arc<dyn OutputFiles>, file: OutputFile, stored_max: u64) -> io::Result<Self> {
        let stored = files.length(file).await?;
        let state = State { stored_max, in_file: stored > 0, stored, total: stored, ..State::default() };
        Ok(Self { files, file, state: Mutex::new(state) })
    }

    /// How many bytes the program has written.
    pub(crate) fn total(&self) -> u64 {
        self.lock().total
    }

    /// How many of them are stored.
    pub(crate) fn stored(&self) -> u64 {
        self.lock().stored
    }

    /// Up to where the agent may drop what it holds: what is in a file outlives this server.
    pub(crate) fn safe(&self) -> u64 {
        let state = self.lock();
        if state.in_file { state.total } else { 0 }
    }

    /// Appends what the program wrote at `offset`. What is there already is passed over; a hole is refused unless
    /// the limit was reached before it; what is over the limit is counted and dropped. After a failure everything is
    /// as before.
    pub(crate) async fn append(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (fresh, from, bytes) = {
            let mut state = self.lock();
            let fresh = state.fresh(offset, data)?;
            let fits_memory = !state.in_file && state.memory.len() + fresh.len() <= limits::OUTPUT_ROW_BYTES_MAX;
            if fits_memory {
                state.memory.extend_from_slice(fresh);
            }
            if fits_memory || fresh.is_empty() {
                state.took(offset, data, fresh);
                return Ok(());
            }
            // First what was in memory until now.
            let from = if state.in_file { state.stored } else { 0 };
            (fresh, from, [&state.memory, fresh].concat())
        };
        self.files.write(self.file, from, &bytes).await?;
        let mut state = self.lock();
        state.in_file = true;
        state.memory = Vec::new();
        state.took(offset, data, fresh);
        Ok(())
    }

    /// Stored bytes from `offset`, at most `bytes_max`; empty when there are none yet.
    pub(crate) async fn read(&self, offset: u64, bytes_max: u64) -> io::Result<Bytes> {
        {
            let state = self.lock();
            if !state.in_file {
                return Ok(Bytes::copy_from_slice(slice(&state.memory, offset, bytes_max)));
            }
        }
        let left = self.stored().saturating_sub(offset);
        read_file(self.files.as_ref(), self.file, offset, bytes_max.min(left)).await
    }

    /// The same, or the first bytes after `offset` that are left of what was not stored, with their offset.
    pub(crate) async fn read_on(&self, offset: u64, bytes_max: u64) -> io::Result<(u64, Bytes)> {
        {
            let state = self.lock();
            if state.stored <= offset && state.stored < state.total {
                return Ok(state.tail.read(offset, bytes_max));
            }
        }
        Ok((offset, self.read(offset, bytes_max).await?))
    }

    /// The output as its record keeps it, safe on the disk. `total`: what the agent says in the end.
    pub(crate) async fn finish(&self, total: u64) -> io::Result<Output> {
        let (in_file, stored, memory, known) = {
            let state = self.lock();
            (state.in_file, state.stored, state.memory.clone(), state.total)
        };
        let place = if in_file {
            self.files.sync(self.file).await?;
            OutputPlace::File
        } else {
            OutputPlace::Row(memory)
        };
        Ok(Output { bytes_total: total.max(known), bytes_stored: stored, place })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of a file from `offset`, at most `bytes_max`. Asked for none, it does not look at the file: an offset may be
/// beyond what a file can have.
pub(crate) async fn read_file(
    files: &dyn OutputFiles,
    file: OutputFile,
    offset: u64,
    bytes_max: u64,
) -> io::Result<Bytes> {
    if bytes_max == 0 {
        return Ok(Bytes::new());
    }
    files.read(file, offset, bytes_max).await
}

/// The part of `bytes` from `offset`, at most `bytes_max`.
pub(crate) fn slice(bytes: &[u8], offset: u64, bytes_max: u64) -> &[u8] {
    let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    let end = begin.saturating_add(usize::try_from(bytes_max).unwrap_or(usize::MAX)).min(bytes.len());
    &bytes[begin..end]
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use sentinal_model::{ExecutionId, Stream};

    use super::*;
    use crate::outputs::OutputFolder;

    const FILE: OutputFile = OutputFile { execution: ExecutionId::from_bytes([1; 16]), stream: Stream::Stdout };

    fn spool() -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(Arc::new(OutputFolder::new(folder.path())), FILE, limits::OUTPUT_STORED_BYTES_MAX);
        (folder, spool)
    }

    #[tokio::test]
    async fn what_was_appended_is_read_back_from_memory_and_from_the_file() {
        let (_folder, spool) = spool();
        let bytes: Vec<u8> = (0..=255).cycle().take(50_000).collect();
        for (index, chunk) in bytes.chunks(7_000).enumerate() {
            spool.append(index as u64 * 7_000, chunk).await.unwrap();
            let read = spool.read(5, u64::MAX).await.unwrap();
            assert_eq!(read, bytes[5..bytes.len().min((index + 1) * 7_000)]);
        }
        assert_eq!(spool.read(u64::MAX, u64::MAX).await.unwrap(), "");
        let output = spool.finish(50_000).await.unwrap();
        assert_eq!(output, Output { bytes_total: 50_000, bytes_stored: 50_000, place: OutputPlace::File });
    }

    #[tokio::test]
    async fn a_repeated_chunk_is_taken_once() {
        let (_folder, spool) = spool();
        spool.append(0, b"hello").await.unwrap();
        spool.append(0, b"hello").await.unwrap();
        spool.append(3, b"lo world").await.unwrap();
        assert_eq!(spool.read(0, u64::MAX).await.unwrap(), "hello world");
        assert_eq!(spool.safe(), 0, "what is only in memory must stay with the agent");
    }

    #[test]
    fn of_what_is_not_stored_the_last_is_left() {
        const MAX: u64 = 1 << 20;
        let mut state = State { stored_max: MAX, stored: MAX - 2, ..State::default() };
        state.total = state.stored;
        let mut take = |offset, data: &[u8]| {
            let fresh = state.fresh(offset, data).unwrap().to_vec();
            state.took(offset, data, &fresh);
            (state.stored.saturating_sub(offset), state.tail.read(0, u64::MAX))
        };
        let at = MAX - 2;
        assert_eq!(take(at, b"abcd"), (2, (at + 2, Bytes::from_static(b"cd"))));
        assert_eq!(take(at, b"abcdef").1, (at + 2, Bytes::from_static(b"cdef")));
        let (start, bytes) = take(at + 6, &vec![b'x'; TAIL_BYTES]).1;
        assert_eq!((start, bytes.len()), (at + 6, TAIL_BYTES));
        assert_eq!(state.tail.read(at + 8, 3), (at + 8, Bytes::from_static(b"xxx")));
        assert_eq!(state.tail.read(u64::MAX, 3).1, "");
    }

    #[tokio::test]
    async fn a_hole_is_refused() {
        let (_folder, spool) = spool();
        spool.append(0, b"hello").await.unwrap();
        assert!(spool.append(6, b"world").await.is_err());
        assert_eq!(spool.total(), 5);
    }

    #[tokio::test]
    async fn a_server_that_resumes_goes_on_at_the_end_of_the_file() {
        let (_folder, spool) = spool();
        spool.append(0, &vec![7; 20_000]).await.unwrap();
        assert_eq!(spool.safe(), 20_000);
        let resumed = Spool::resume(Arc::clone(&spool.files), FILE, limits::OUTPUT_STORED_BYTES_MAX).await.unwrap();
        assert_eq!(resumed.total(), 20_000);
        resumed.append(19_999, &[7, 8]).await.unwrap();
        assert_eq!(resumed.read(19_999, 10).await.unwrap(), [7, 8][..]);
    }
}
