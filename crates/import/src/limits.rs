//! Every bound of this crate.

use std::time::Duration;

/// How long the process that unpacks an image may take.
pub(crate) const WORK_DEADLINE: Duration = Duration::from_secs(1800);
/// Longest line it may say.
pub(crate) const LINE_BYTES_MAX: u64 = 1 << 20;
/// Lines it may say.
pub(crate) const LINES_MAX: usize = 10_000;
/// How much of an image is read at once.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// How long a registry may take to accept a connection.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// How long it may take to begin an answer.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// How long it may say nothing within one.
pub(crate) const SILENCE_MAX: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 20_000 });
/// How often it may send us elsewhere for one thing.
pub(crate) const REDIRECTS_MAX: usize = 5;
/// Largest index, manifest or configuration.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
/// Largest answer with a token.
pub(crate) const TOKEN_BYTES_MAX: u64 = 64 * 1024;
/// Indexes within each other.
pub(crate) const INDEX_DEPTH_MAX: usize = 3;
/// Layers of an image.
pub(crate) const LAYERS_MAX: usize = 256;
/// Layers that are downloaded at once.
pub(crate) const LAYERS_AT_ONCE: usize = 3;
/// How often a layer is asked for again when the connection broke and brought nothing new.
pub(crate) const FRUITLESS_TRIES_MAX: u32 = 4;
/// The wait before the next try; doubles.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Layers that are kept for the next pull.
pub(crate) const KEPT_BYTES_MAX: u64 = 8 << 30;
/// How long they are kept.
pub(crate) const KEPT_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Entries of a build's context: what an archive for a sandbox may have.
pub(crate) const CONTEXT_ENTRIES_MAX: usize = 100_000;
/// Their names and links together: they are held in memory.
pub(crate) const CONTEXT_NAMES_BYTES_MAX: usize = 16 << 20;
/// Folders within each other in a context.
pub(crate) const CONTEXT_DEPTH_MAX: usize = 128;
/// A file of a context that is read as a text.
pub(crate) const TEXT_BYTES_MAX: u64 = 256 * 1024;
