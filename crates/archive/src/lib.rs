//! Tar streams: POSIX ustar, with the long names of pax and of GNU.
//!
//! Ours, because what is read here is hostile: whatever comes before a file's bytes is bounded before it is held, and
//! what an archive must not have is refused by name rather than passed over. Nothing here touches a file, and nothing
//! that an archive says is believed: a path is bytes until who unpacks it has looked at it.
//!
//! Start at [`Entries`] for reading and at [`Header::write`] for writing.

mod entries;
mod extension;
mod header;
mod pattern;
mod reader;

pub use entries::{ArchiveError, EXTENSION_BYTES_MAX, Entries, Entry, Supply};
pub use header::{BLOCK_BYTES, Block, Header, Kind, Malformed, PADDING, padding};
pub use pattern::matches;
pub use reader::Reader;
