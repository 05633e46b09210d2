//! The first look at an image file: is it an EROFS of the plain kind that all engines can use?
//!
//! Hashing the file tells everything and takes half a second; this reads one block and finds what goes
//! wrong in practice: another kind of file, a half-written one, one made with options that gVisor's
//! built-in EROFS does not know.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use super::{BLOCK_BITS, MAGIC, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET};
use crate::ImageError;

/// What the superblock of a usable image says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    /// Length of the file system, and so of the file.
    pub size_bytes: u64,
}

/// Why a file cannot serve as an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnImage {
    /// Something else, or too short to be anything.
    #[error("it is not an EROFS file system")]
    NoMagic,
    /// A block size other than 4 KiB.
    #[error("its block size is 2^{bits} bytes; 4096 is needed")]
    BlockSize {
        /// The power of two it has.
        bits: u8,
    },
    /// Compressed, chunked or otherwise beyond a plain EROFS.
    #[error("it uses features (0x{features:x}) that not all engines know; make it without compression and chunks")]
    Features {
        /// The incompatible features as EROFS numbers them.
        features: u32,
    },
    /// Longer or shorter than it says: a copy that did not finish.
    #[error("it has {actual_bytes} bytes and should have {expected_bytes}")]
    Length {
        /// What the superblock says.
        expected_bytes: u64,
        /// What the file has.
        actual_bytes: u64,
    },
}

impl Superblock {
    /// Reads the superblock of `path` and holds it against the file's length.
    pub fn read(path: &Path) -> Result<Self, ImageError> {
        let file = File::open(path).map_err(ImageError::io("open", path))?;
        let length = file.metadata().map_err(ImageError::io("look at", path))?.len();
        let mut block = [0; SUPERBLOCK_BYTES];
        let parsed = match file.read_exact_at(&mut block, SUPERBLOCK_OFFSET) {
            Ok(()) => Self::parse(&block, length),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(NotAnImage::NoMagic),
            Err(error) => return Err(ImageError::io("read", path)(error)),
        };
        parsed.map_err(|reason| ImageError::NotAnImage { path: path.to_owned(), reason })
    }

    fn parse(block: &[u8; SUPERBLOCK_BYTES], actual_bytes: u64) -> Result<Self, NotAnImage> {
        if u32_at(block, 0) != MAGIC {
            return Err(NotAnImage::NoMagic);
        }
        let bits = block[12];
        if bits != BLOCK_BITS {
            return Err(NotAnImage::BlockSize { bits });
        }
        let features = u32_at(block, 80);
        if features != 0 {
            return Err(NotAnImage::Features { features });
        }
        let expected_bytes = u64::from(u32_at(block, 36)) << BLOCK_BITS;
        if expected_bytes != actual_bytes {
            return Err(NotAnImage::Length { expected_bytes, actual_bytes });
        }
        Ok(Self { size_bytes: expected_bytes })
    }
}

/// The little-endian number at `offset`, which must lie within the block.
fn u32_at(block: &[u8; SUPERBLOCK_BYTES], offset: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&block[offset..offset + 4]);
    u32::from_le_bytes(bytes)
}

/// The smallest thing that passes for an image, for tests of the store.
#[cfg(test)]
pub(crate) fn fake_image(fill: u8) -> Vec<u8> {
    let mut file = vec![fill; 4096];
    file[1024..1152].fill(0);
    file[1024..1028].copy_from_slice(&MAGIC.to_le_bytes());
    file[1036] = BLOCK_BITS;
    file[1060..1064].copy_from_slice(&1_u32.to_le_bytes());
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Vec<u8>), expected: Result<Superblock, NotAnImage>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let mut file = fake_image(7);
        change(&mut file);
        std::fs::write(&path, file).unwrap();
        match (Superblock::read(&path), expected) {
            (Ok(read), expected) => assert_eq!(Ok(read), expected),
            (Err(ImageError::NotAnImage { reason, .. }), expected) => assert_eq!(Err(reason), expected),
            (Err(other), _) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_plain_image_passes() {
        check(|_| {}, Ok(Superblock { size_bytes: 4096 }));
    }

    #[test]
    fn garbage_is_refused_with_a_reason() {
        check(Vec::clear, Err(NotAnImage::NoMagic));
        check(|file| file.truncate(1100), Err(NotAnImage::NoMagic));
        check(|file| file[1024] ^= 1, Err(NotAnImage::NoMagic));
        check(|file| file[1036] = 9, Err(NotAnImage::BlockSize { bits: 9 }));
        check(|file| file[1104] = 1, Err(NotAnImage::Features { features: 1 }));
        check(|file| file.push(0), Err(NotAnImage::Length { expected_bytes: 4096, actual_bytes: 4097 }));
        check(
            |file| file[1063] = 255,
            Err(NotAnImage::Length { expected_bytes: 0xFF00_0001_u64 << 12, actual_bytes: 4096 }),
        );
    }
}
