//! An archive's entries, as its bytes come in.

use tonic::Status;

use super::entry::{Entry, refused};
use crate::{
    files::{
        incoming::{Chunk, Incoming},
        tar::{BLOCK_BYTES, Block, Extension, Header, Kind, Malformed, padding},
    },
    limits,
};

/// How gzip begins: the mistake that is made most often.
const GZIP: [u8; 2] = [0x1f, 0x8b];

pub(super) struct Source<'a> {
    body: &'a mut Incoming,
    chunk: Chunk,
    /// How much of the chunk was taken.
    taken: usize,
    is_begun: bool,
}

impl<'a> Source<'a> {
    pub(super) fn new(body: &'a mut Incoming) -> Self {
        Self { body, chunk: Chunk { data: Vec::new(), is_last: false }, taken: 0, is_begun: false }
    }

    /// The next one; its content is to be taken with [`Self::content`]. `None` at the end of the archive.
    pub(super) fn entry(&mut self) -> Result<Option<Entry>, Status> {
        let (mut path, mut link, mut size, mut modified_s) = (None, None, None, None);
        loop {
            let Some(block) = self.block()? else { return Ok(None) };
            let Some(header) = Header::read(&block).map_err(|Malformed| self.malformed(&block))? else {
                return Ok(None);
            };
            self.is_begun = true;
            match header.kind {
                Kind::LongPath => path = Some(without_nul(self.extension(&header)?)),
                Kind::LongLink => link = Some(without_nul(self.extension(&header)?)),
                Kind::Extended | Kind::ExtendedForAll => {
                    let bytes = self.extension(&header)?;
                    let extension = Extension::read(&bytes).map_err(|Malformed| self.malformed(&block))?;
                    if extension.is_sparse {
                        return Err(refused(&header.path, "describes a sparse file, which is not unpacked"));
                    }
                    if header.kind == Kind::ExtendedForAll {
                        // What it says of all that follow would be the same name for all of them.
                        continue;
                    }
                    path = extension.path.or(path);
                    link = extension.link.or(link);
                    size = extension.size.or(size);
                    modified_s = extension.modified_s.or(modified_s);
                }
                Kind::File | Kind::Directory | Kind::Symlink | Kind::Hardlink | Kind::Other(_) => {
                    let has_content = header.kind == Kind::File;
                    return Ok(Some(Entry {
                        kind: header.kind,
                        path: path.unwrap_or(header.path),
                        link: link.unwrap_or(header.link),
                        mode: header.mode,
                        // Of what has no content some archives tell a size all the same.
                        size: if has_content { size.unwrap_or(header.size) } else { 0 },
                        modified_s: modified_s.unwrap_or(header.modified_s),
                    }));
                }
            }
        }
    }

    /// Hands over a file's bytes as they come.
    pub(super) fn content(
        &mut self,
        entry: &Entry,
        mut take: impl FnMut(&[u8]) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let mut left = entry.size;
        while 0 < left {
            let bytes = self.available()?;
            let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if count == 0 {
                return Err(refused(&entry.path, "ends before its last byte"));
            }
            take(&bytes[..count])?;
            self.taken += count;
            left -= count as u64;
        }
        self.exactly(padding(entry.size)).map(drop)
    }

    /// What follows the end of an archive belongs to nobody: tar fills up to its own block size.
    pub(super) fn drain(&mut self) -> Result<(), Status> {
        loop {
            let count = self.available()?.len();
            if count == 0 {
                return Ok(());
            }
            self.taken += count;
        }
    }

    /// What stands in the place of a file's content, and describes the next one.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, Status> {
        let size = usize::try_from(header.size).ok().filter(|size| *size <= limits::ARCHIVE_EXTENSION_BYTES_MAX);
        let size = size.ok_or_else(|| {
            let most = limits::ARCHIVE_EXTENSION_BYTES_MAX;
            refused(&header.path, &format!("is described in more than {most} bytes"))
        })?;
        let bytes = self.exactly(size)?;
        self.exactly(padding(header.size))?;
        Ok(bytes)
    }

    /// `None` at the end of the body.
    fn block(&mut self) -> Result<Option<Block>, Status> {
        if self.available()?.is_empty() {
            return Ok(None);
        }
        let block = self.exactly(BLOCK_BYTES)?;
        Ok(block.as_array().copied())
    }

    fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Status> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let bytes = self.available()?;
            let some = bytes.len().min(count - taken.len());
            if some == 0 {
                return Err(Status::invalid_argument("the archive ends in the middle; send it again, whole"));
            }
            taken.extend_from_slice(&bytes[..some]);
            self.taken += some;
        }
        Ok(taken)
    }

    /// What has come and was not taken; nothing at the end of the body.
    fn available(&mut self) -> Result<&[u8], Status> {
        while self.chunk.data.len() <= self.taken && !self.chunk.is_last {
            self.chunk = self.body.next()?;
            self.taken = 0;
        }
        Ok(self.chunk.data.get(self.taken..).unwrap_or_default())
    }

    fn malformed(&self, block: &Block) -> Status {
        Status::invalid_argument(if self.is_begun {
            "the archive is damaged: a header in it is none"
        } else if block.starts_with(&GZIP) {
            "the archive is compressed; send the tar stream itself"
        } else {
            "the body is no tar stream"
        })
    }
}

fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    if name.last() == Some(&0) {
        name.pop();
    }
    name
}
