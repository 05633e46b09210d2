//! Layers are plain, or compressed with gzip or zstd: whichever their first bytes say, not what a media type says.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

use crate::{
    ImageError,
    limits::{RATIO_MAX, UNPACKED_FREE_BYTES, ZSTD_WINDOW_BYTES_MAX},
};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Frames that hold no content: sixteen magic numbers that differ in the last four bits.
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// The bytes of something that may be compressed and has `size` bytes as it is. What comes out is bounded.
pub(crate) fn decoded<'a>(compressed: impl Read + 'a, size: u64) -> io::Result<Box<dyn Read + 'a>> {
    let mut source = BufReader::with_capacity(64 * 1024, compressed);
    let start = source.fill_buf()?;
    let max = UNPACKED_FREE_BYTES.saturating_add(size.saturating_mul(RATIO_MAX));
    if start.starts_with(&GZIP) {
        return Ok(Box::new(Bounded { inner: MultiGzDecoder::new(source), left: max }));
    }
    if start.starts_with(&ZSTD) || (start.get(1..4) == Some(&ZSTD_SKIPPABLE) && start[0] & 0xf0 == 0x50) {
        return Ok(Box::new(Bounded { inner: Frames::new(source), left: max }));
    }
    Ok(Box::new(source))
}

/// Whether it begins as something compressed does.
pub(crate) fn is_compressed(start: &[u8]) -> bool {
    start.starts_with(&GZIP) || start.starts_with(&ZSTD)
}

/// Ends with an error where more comes out than what went in can be worth.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::other(ImageError::refused(format!(
                "it unpacks to more than {RATIO_MAX} times its size, as no layer of files does"
            )))
        })?;
        Ok(count)
    }
}

/// All frames of a zstd stream, one after the other.
struct Frames<R> {
    source: R,
    decoder: Box<FrameDecoder>,
    is_within: bool,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_within && !self.next_frame()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let decoded = self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                decoded.map_err(io::Error::other)?;
            }
            let count = self.decoder.read(buffer)?;
            if 0 < count || buffer.is_empty() {
                return Ok(count);
            }
            self.is_within = !self.decoder.is_finished();
        }
    }
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> Self {
        let mut decoder = Box::new(FrameDecoder::new());
        decoder.set_max_window_size(ZSTD_WINDOW_BYTES_MAX);
        Self { source, decoder, is_within: false }
    }

    /// Whether there is one more.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.init(&mut self.source) {
                Ok(()) => {
                    self.is_within = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    if io::copy(&mut (&mut self.source).take(length), &mut io::sink())? != length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        decoded(bytes, bytes.len() as u64)?.read_to_end(&mut all)?;
        Ok(all)
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn what_is_compressed_is_told_by_its_first_bytes() {
        let content: Vec<u8> = (0..300_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        assert_eq!(read(&content).unwrap(), content);
        assert_eq!(read(&gzip(&content)).unwrap(), content);
        assert_eq!(read(&zstd(&content)).unwrap(), content);
        assert_eq!(read(b"").unwrap(), b"");
    }

    #[test]
    fn all_members_and_frames_are_read_and_those_without_content_skipped() {
        assert_eq!(read(&[gzip(b"a"), gzip(b"b")].concat()).unwrap(), b"ab");
        let skipped = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        assert_eq!(read(&[skipped.clone(), zstd(b"a"), skipped, zstd(b"b")].concat()).unwrap(), b"ab");
    }

    #[test]
    fn what_was_cut_off_is_an_error() {
        let content = vec![7; 100_000];
        for mut compressed in [gzip(&content), zstd(&content)] {
            compressed.truncate(compressed.len() - 6);
            read(&compressed).unwrap_err();
        }
        read(&[0x50, 0x2a, 0x4d, 0x18, 9, 0, 0, 0, 1]).unwrap_err();
    }

    #[test]
    fn a_bomb_goes_off_early() {
        struct Zeros(u64);
        impl Read for Zeros {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += buffer.len() as u64;
                buffer.fill(0);
                Ok(buffer.len())
            }
        }
        let mut bounded = Bounded { inner: Zeros(0), left: 1 << 20 };
        io::copy(&mut bounded, &mut io::sink()).unwrap_err();
        assert!(bounded.inner.0 < 2 << 20);
    }
}
