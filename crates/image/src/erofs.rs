//! EROFS, as far as images need it: plain, without compression, chunks or attributes.
//!
//! The format: <https://docs.kernel.org/filesystems/erofs.html>, and `fs/erofs/erofs_fs.h` of Linux.

mod layout;
mod superblock;
mod write;

#[cfg(test)]
pub(crate) use superblock::fake_image;
pub use superblock::{NotAnImage, Superblock};
pub(crate) use write::write;

/// 4 KiB, as a power of two: the only block size gVisor maps.
const BLOCK_BITS: u8 = 12;
const BLOCK_BYTES: u64 = 1 << BLOCK_BITS;
const MAGIC: u32 = 0xE0F5_E1E2;
const SUPERBLOCK_OFFSET: u64 = 1024;
const SUPERBLOCK_BYTES: usize = 128;
