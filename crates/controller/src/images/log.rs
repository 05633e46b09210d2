//! What a build says, as long as its server lives: the end of it, for whoever reads or follows.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use sentinal_model::limits::IMAGE_BUILD_LOG_BYTES_MAX;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What one answer carries.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// A log that is written at its end.
#[derive(Debug, Default)]
pub(crate) struct Log {
    kept: Mutex<Kept>,
    /// How many bytes were written.
    length: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: VecDeque<u8>,
    /// Of the first byte that is kept.
    start: u64,
}

impl Log {
    /// Adds a line of the build's own.
    pub(crate) fn line(&self, text: &str) {
        self.add(format!("{text}\n").as_bytes());
    }

    /// Adds what a program wrote, as it is. What is too much is taken away at the beginning.
    pub(crate) fn add(&self, bytes: &[u8]) {
        let mut kept = self.kept();
        kept.bytes.extend(bytes);
        let surplus = kept.bytes.len().saturating_sub(IMAGE_BUILD_LOG_BYTES_MAX);
        kept.bytes.drain(..surplus);
        kept.start += surplus as u64;
        let length = kept.start + kept.bytes.len() as u64;
        drop(kept);
        self.length.send_replace(length);
    }

    /// What is there from an offset on, or from the first byte that is kept; and the offset behind it.
    pub(crate) fn read(&self, offset: u64) -> (Bytes, u64) {
        let kept = self.kept();
        let skip = usize::try_from(offset.saturating_sub(kept.start)).unwrap_or(usize::MAX).min(kept.bytes.len());
        let bytes: Vec<u8> = kept.bytes.iter().skip(skip).take(PIECE_BYTES_MAX).copied().collect();
        let end = kept.start + (skip + bytes.len()) as u64;
        (bytes.into(), end.max(offset.min(kept.start + kept.bytes.len() as u64)))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody's place in a log.
pub(crate) struct Reading {
    log: Arc<Log>,
    length: watch::Receiver<u64>,
    /// When nothing more will be said.
    ended: CancellationToken,
    offset: u64,
    follow: bool,
}

impl Reading {
    pub(crate) fn new(log: Arc<Log>, ended: CancellationToken, (offset, follow): (u64, bool)) -> Self {
        let length = log.length.subscribe();
        Self { log, length, ended, offset, follow }
    }

    pub(crate) fn stream(self) -> BoxStream<'static, Bytes> {
        let next = |mut reading: Self| async move { reading.next().await.map(|bytes| (bytes, reading)) };
        stream::unfold(self, next).boxed()
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Looked at before the log: what is said at the end is read.
            let is_over = !self.follow || self.ended.is_cancelled();
            self.length.mark_unchanged();
            let (bytes, end) = self.log.read(self.offset);
            self.offset = end;
            if !bytes.is_empty() {
                return Some(bytes);
            }
            if is_over {
                return None;
            }
            tokio::select! {
                _ = self.length.changed() => {}
                () = self.ended.cancelled() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_kept() {
        let log = Log::default();
        log.line("first");
        assert_eq!(log.read(0), (Bytes::from_static(b"first\n"), 6));
        assert_eq!(log.read(2), (Bytes::from_static(b"rst\n"), 6));
        assert_eq!(log.read(6), (Bytes::new(), 6));
        assert_eq!(log.read(99), (Bytes::new(), 6));
        log.add(&vec![b'x'; IMAGE_BUILD_LOG_BYTES_MAX]);
        log.add(b"end");
        let (mut at, mut all) = (0, Vec::new());
        loop {
            let (bytes, end) = log.read(at);
            if bytes.is_empty() {
                break;
            }
            (at, all) = (end, [&all[..], &bytes[..]].concat());
        }
        assert_eq!((at, all.len()), (9 + IMAGE_BUILD_LOG_BYTES_MAX as u64, IMAGE_BUILD_LOG_BYTES_MAX));
        assert!(all.ends_with(b"xend"));
    }

    #[tokio::test]
    async fn a_log_is_followed_to_its_last_word() {
        let (log, ended) = (Arc::new(Log::default()), CancellationToken::new());
        log.line("one");
        let read: Vec<Bytes> = Reading::new(Arc::clone(&log), ended.clone(), (0, false)).stream().collect().await;
        assert_eq!(read.concat(), b"one\n");
        let following =
            tokio::spawn(Reading::new(Arc::clone(&log), ended.clone(), (1, true)).stream().collect::<Vec<_>>());
        tokio::task::yield_now().await;
        log.line("two");
        ended.cancel();
        assert_eq!(following.await.unwrap().concat(), b"ne\ntwo\n");
    }
}
