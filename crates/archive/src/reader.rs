//! A tar stream from whatever can be read.

use std::{
    fmt,
    io::{self, Read},
};

use crate::Supply;

const BUFFER_BYTES: usize = 64 * 1024;

/// The bytes of a reader. Its errors are told in the words of whoever unpacks.
pub struct Reader<R, E> {
    inner: R,
    failed: fn(io::Error) -> E,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    position: u64,
}

impl<R, E> Reader<R, E> {
    /// From where `inner` is. `failed` says what an error of it means.
    pub fn new(inner: R, failed: fn(io::Error) -> E) -> Self {
        Self { inner, failed, buffer: vec![0; BUFFER_BYTES].into(), start: 0, end: 0, position: 0 }
    }

    /// How many bytes were taken.
    pub const fn position(&self) -> u64 {
        self.position
    }
}

impl<R: Read, E> Supply for Reader<R, E> {
    type Error = E;

    fn available(&mut self) -> Result<&[u8], E> {
        while self.start == self.end {
            match self.inner.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => (self.start, self.end) = (0, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((self.failed)(error)),
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.position += count as u64;
    }
}

impl<R, E> fmt::Debug for Reader<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says that it was interrupted before every byte.
    struct Slow(Vec<u8>, bool);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if self.0.is_empty() {
                return Ok(0);
            }
            buffer[0] = self.0.remove(0);
            Ok(1)
        }
    }

    #[test]
    fn every_byte_comes_once_and_the_end_stays_the_end() {
        let mut reader = Reader::new(Slow(b"abc".to_vec(), false), |error| error);
        let mut seen = Vec::new();
        while let Some(byte) = reader.available().unwrap().first().copied() {
            seen.push(byte);
            reader.consume(1);
        }
        assert_eq!((&seen[..], reader.position()), (&b"abc"[..], 3));
        assert!(reader.available().unwrap().is_empty());
    }
}
