//! Copying the write-ahead log into the database, beside the commits rather than inside them.
//!
//! A passive checkpoint holds up nobody, but under unbroken load it never quite catches up, and then the log
//! cannot begin anew. So there is a bound: at [`limits::WAL_FRAMES_MAX`] the writer makes a checkpoint itself,
//! between two commits, and only the little that is missing by then is left to copy.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::Connection;

use super::open::Database;
use crate::limits;

/// What is known of the write-ahead log.
#[derive(Debug, Default)]
pub(super) struct Log {
    has_grown: AtomicBool,
    frames: AtomicI64,
}

impl Log {
    /// Something was committed.
    pub(super) fn grown(&self) {
        self.has_grown.store(true, Relaxed);
    }

    /// Whether the writer has to make a checkpoint; asked again, the answer is no until the log has been measured
    /// again, so that a reader that keeps the log from being copied does not slow down every commit.
    pub(super) fn was_too_long(&self) -> bool {
        limits::WAL_FRAMES_MAX < self.frames.swap(0, Relaxed)
    }

    /// Copies what it can without holding up anybody, and notes how much is left. Answers whether it worked.
    pub(super) fn copy(&self, connection: &Connection) -> bool {
        let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
        let counted = connection.query_row(checkpoint, [], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)));
        if let Err(error) = &counted {
            warn(error);
        }
        // A log that was copied to its end begins anew with the next commit.
        let left = counted.as_ref().map_or(0, |(frames, copied)| if frames == copied { 0 } else { *frames });
        self.frames.store(left, Relaxed);
        counted.is_ok()
    }
}

/// A thread that makes a checkpoint every [`limits::CHECKPOINT_INTERVAL`] in which something was committed.
pub(super) struct Checkpoints {
    log: Arc<Log>,
    running: Sender<()>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    pub(super) fn start(database: Database) -> io::Result<Self> {
        let log = Arc::new(Log::default());
        let (running, ended) = channel();
        let work = {
            let log = Arc::clone(&log);
            move || until(&ended, &database, &log)
        };
        let thread = thread::Builder::new().name("store-checkpoint".to_owned()).spawn(work)?;
        Ok(Self { log, running, thread })
    }

    /// What it measures.
    pub(super) fn log(&self) -> Arc<Log> {
        Arc::clone(&self.log)
    }

    /// Returns when the thread has ended.
    pub(super) fn end(self) {
        drop(self.running);
        // It does not panic; if it did, nothing is left to do here.
        let _ = self.thread.join();
    }
}

fn until(ended: &Receiver<()>, database: &Database, log: &Log) {
    let mut connection = None;
    while ended.recv_timeout(limits::CHECKPOINT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        if !log.has_grown.swap(false, Relaxed) {
            continue;
        }
        if connection.is_none() {
            connection = database.for_checkpoints().inspect_err(warn).ok();
        }
        connection = connection.filter(|open| log.copy(open));
    }
}

fn warn(error: &rusqlite::Error) {
    tracing::warn!(%error, "store could not copy its write-ahead log into the database; it will try again");
}
