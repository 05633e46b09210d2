//! An archive's bytes, as they come in, and what is wrong with them in words.

use bytes::Bytes;
use sentinal_archive::{ArchiveError, Supply};
use tonic::Status;

use super::entry::refused;
use crate::files::incoming::{Chunk, Incoming};

pub(super) struct Source<'a> {
    body: &'a mut Incoming,
    chunk: Chunk,
    /// How much of the chunk was taken.
    taken: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(body: &'a mut Incoming) -> Self {
        Self { body, chunk: Chunk { data: Bytes::new(), is_last: false }, taken: 0 }
    }
}

impl Supply for Source<'_> {
    type Error = Status;

    fn available(&mut self) -> Result<&[u8], Status> {
        while self.chunk.data.len() <= self.taken && !self.chunk.is_last {
            self.chunk = self.body.next()?;
            self.taken = 0;
        }
        Ok(self.chunk.data.get(self.taken..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.taken += count;
    }
}

pub(super) fn explained(error: ArchiveError<Status>) -> Status {
    match error {
        ArchiveError::Supply(status) => status,
        ArchiveError::Cut => Status::invalid_argument("the archive ends in the middle; send it again, whole"),
        ArchiveError::Damaged => Status::invalid_argument("the archive is damaged: a header in it is none"),
        ArchiveError::Compressed => Status::invalid_argument("the archive is compressed; send the tar stream itself"),
        ArchiveError::NoArchive => Status::invalid_argument("the body is no tar stream"),
        ArchiveError::Entry { path, why } => refused(&path, &why),
    }
}
