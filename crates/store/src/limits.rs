//! The store's own bounds; those that callers meet are in `sentinal_model::limits`.

use std::time::Duration;

/// Batches that may wait for the writer. A full queue makes callers wait, then refuses them.
pub(crate) const WRITE_QUEUE_BATCHES_MAX: usize = 1024;
/// Batches of one commit.
pub(crate) const GROUP_BATCHES_MAX: usize = 256;
/// How long a batch may wait for room in the queue.
pub(crate) const WRITE_QUEUE_WAIT: Duration = Duration::from_secs(10);
/// Writes in one batch.
pub(crate) const BATCH_WRITES_MAX: usize = 1024;
/// Connections that read at once.
pub(crate) const READERS_MAX: usize = 2;
/// How long a read may wait for a connection.
pub(crate) const READER_WAIT: Duration = Duration::from_secs(10);
/// How long a connection waits for a lock; only an administrator's own session holds one for long.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the write-ahead log is copied into the database, if anything was written.
pub(crate) const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
/// Frames (pages of 4 KiB) of the write-ahead log from which on the writer waits for a checkpoint of its own.
pub(crate) const WAL_FRAMES_MAX: i64 = 16 * 1024;
/// What the write-ahead log is cut to after a checkpoint; room that is reused needs no new blocks.
pub(crate) const WAL_BYTES_KEPT: u32 = 16 << 20;
/// Rows that one transaction removes: output is up to 32 KiB a row, and the writer is held up for so long.
pub(crate) const REMOVED_ROWS_MAX: i64 = 256;
/// Sums in one answer: a year of days has 365, and there are more hours than anybody reads.
pub(crate) const USAGE_ROWS_MAX: i64 = 10_000;
/// Statements that a connection keeps prepared; there are some thirty.
pub(crate) const STATEMENTS_KEPT: usize = 64;
