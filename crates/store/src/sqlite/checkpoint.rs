//! Copying the write-ahead log into the database, beside the commits rather than inside them.
//!
//! A passive checkpoint holds up nobody, but under unbroken load it never quite catches up, and then the log
//! cannot begin anew. So there is a bound: at [`limits::WAL_FRAMES_MAX`] the writer makes a checkpoint itself,
//! between two commits, and only the little that is missing by then is left to copy.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

use sqlx::{ConnectOptions, SqliteConnection};
use tokio::time::{MissedTickBehavior, interval};

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
}

/// Runs `commits` to their end with a checkpoint every [`limits::CHECKPOINT_INTERVAL`] in which something was
/// committed.
pub(super) async fn beside(database: &Database, log: &Log, commits: impl Future<Output = ()>) {
    tokio::select! {
        () = commits => {}
        () = forever(database, log) => {}
    }
}

async fn forever(database: &Database, log: &Log) {
    let mut connection = None;
    let mut ticks = interval(limits::CHECKPOINT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !log.has_grown.swap(false, Relaxed) {
            continue;
        }
        connection = match connection.take() {
            Some(connection) => Some(connection),
            None => connect(database).await,
        };
        if let Some(open) = &mut connection
            && !run(open, log).await
        {
            connection = None;
        }
    }
}

async fn connect(database: &Database) -> Option<SqliteConnection> {
    database.for_checkpoints().connect().await.inspect_err(warn).ok()
}

/// Copies what it can without holding up anybody, and notes how much is left. Answers whether it worked.
pub(super) async fn run(connection: &mut SqliteConnection, log: &Log) -> bool {
    let checkpoint = sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)");
    let counted: sqlx::Result<(i64, i64, i64)> = checkpoint.fetch_one(connection).await;
    if let Err(error) = &counted {
        warn(error);
    }
    // A log that was copied to its end begins anew with the next commit.
    let left = counted.as_ref().map_or(0, |(_, frames, copied)| if frames == copied { 0 } else { *frames });
    log.frames.store(left, Relaxed);
    counted.is_ok()
}

fn warn(error: &sqlx::Error) {
    tracing::warn!(%error, "store could not copy its write-ahead log into the database; it will try again");
}
