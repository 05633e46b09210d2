//! One file without a name, for the contents of all files of an image.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
};

use crate::ImageError;

const BUFFER_BYTES: usize = 1 << 20;

/// Grows at its end, and is read anywhere once it is whole.
#[derive(Debug)]
pub(crate) struct Scratch {
    file: BufWriter<File>,
    length: u64,
    max: u64,
}

impl Scratch {
    /// `file` must be empty. It gets at most `max` bytes.
    pub(crate) fn new(file: File, max: u64) -> Self {
        Self { file: BufWriter::with_capacity(BUFFER_BYTES, file), length: 0, max }
    }

    /// Where the next byte goes.
    pub(crate) const fn end(&self) -> u64 {
        self.length
    }

    /// Whether there is room for so much more.
    pub(crate) fn check(&self, more: u64) -> Result<(), ImageError> {
        if self.length.checked_add(more).is_some_and(|length| length <= self.max) {
            return Ok(());
        }
        Err(ImageError::TooLarge { what: "the files of the image, unpacked", max: self.max, unit: "bytes" })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// A small part of what was written.
    pub(crate) fn read(&mut self, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        self.file.flush()?;
        let mut bytes = vec![0; size];
        self.file.get_ref().read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// All of it, in the file.
    pub(crate) fn into_file(self) -> io::Result<File> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}
