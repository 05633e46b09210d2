//! The layers of an image, each read once it is known to be what it should be.

use std::io::{self, Read};

use super::{config::Config, decode::decoded, layer::Unpacking, source::Source};
use crate::{Digest, ImageError, digest::Sum};

/// What an image is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) layers: Vec<Layer>,
}

/// A layer, and what it must add up to.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) name: String,
    /// As it is.
    pub(crate) packed: Option<Digest>,
    /// Without compression.
    pub(crate) unpacked: Digest,
}

impl Layer {
    pub(crate) fn unpack(&self, source: &Source, unpacking: &mut Unpacking) -> Result<(), ImageError> {
        if let Some(digest) = self.packed {
            source.verify(&self.name, digest)?;
        }
        let section = source.reader(&self.name)?;
        let size = source.size(&self.name).unwrap_or(0);
        let content = decoded(section, size).map_err(ImageError::io("read", &self.name))?;
        let mut summed = Summed { inner: content, sum: Sum::default() };
        unpacking.layer(&mut summed)?;
        let found = summed.sum.digest();
        if found == self.unpacked {
            return Ok(());
        }
        let (expected, found) = (self.unpacked.to_string(), found.to_string());
        Err(ImageError::WrongDigest { what: format!("{}, unpacked,", self.name), expected, found })
    }
}

/// Adds up what is read.
struct Summed<R> {
    inner: R,
    sum: Sum,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sum.add(&buffer[..count]);
        Ok(count)
    }
}
