//! An archive's entries, as its bytes come in.

use crate::{BLOCK_BYTES, Block, Header, Kind, Malformed, extension::Extension, padding};

/// What describes an entry beside its header: long names, and attributes that are passed over.
pub const EXTENSION_BYTES_MAX: usize = 256 * 1024;

/// How gzip begins: the mistake that is made most often.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Where an archive's bytes come from.
pub trait Supply {
    /// Why there are none.
    type Error;

    /// What has come and was not consumed; waits for some. Nothing at the end.
    fn available(&mut self) -> Result<&[u8], Self::Error>;

    /// So many of them were taken.
    fn consume(&mut self, count: usize);
}

/// What is unpacked, with its long names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Where it says that it is.
    pub path: Vec<u8>,
    /// What a link leads to.
    pub link: Vec<u8>,
    /// Permissions: at most 0o7777.
    pub mode: u32,
    /// Whose it is.
    pub uid: u64,
    /// Whose group's it is.
    pub gid: u64,
    /// Of its content, in bytes; zero for what has none.
    pub size: u64,
    /// When it was changed, in seconds since 1970.
    pub modified_s: u64,
}

/// Why an archive is not read any further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveError<E> {
    /// No bytes came.
    Supply(E),
    /// It ends in the middle.
    Cut,
    /// A header in it is none.
    Damaged,
    /// It begins as gzip does.
    Compressed,
    /// It begins as no archive does.
    NoArchive,
    /// One entry is of a kind that is not read.
    Entry {
        /// Which.
        path: Vec<u8>,
        /// What is wrong with it, to be said after its name.
        why: String,
    },
}

/// Reads one archive.
#[derive(Debug)]
pub struct Entries<S> {
    supply: S,
    is_begun: bool,
}

/// What was said of the next entry before its header.
#[derive(Default)]
struct Said {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    extension: Extension,
}

impl<S: Supply> Entries<S> {
    /// From its first byte.
    pub const fn new(supply: S) -> Self {
        Self { supply, is_begun: false }
    }

    /// The next one; its content is to be taken with [`Self::content`]. `None` at the end of the archive.
    pub fn entry(&mut self) -> Result<Option<Entry>, ArchiveError<S::Error>> {
        let mut said = Said::default();
        loop {
            let Some(block) = self.block()? else { return Ok(None) };
            let Some(header) = Header::read(&block).map_err(|Malformed| self.malformed(&block))? else {
                return Ok(None);
            };
            self.is_begun = true;
            match header.kind {
                Kind::LongPath => said.path = Some(without_nul(self.description(&header)?)),
                Kind::LongLink => said.link = Some(without_nul(self.description(&header)?)),
                Kind::Extended => said.add(self.extension(&header)?),
                // What it says of all that follow would be the same name for all of them.
                Kind::ExtendedForAll => drop(self.extension(&header)?),
                Kind::File | Kind::Directory | Kind::Symlink | Kind::Hardlink | Kind::Special(_) | Kind::Other(_) => {
                    return Ok(Some(said.of(header)));
                }
            }
        }
    }

    /// Hands over a file's bytes as they come.
    pub fn content(
        &mut self,
        entry: &Entry,
        mut take: impl FnMut(&[u8]) -> Result<(), S::Error>,
    ) -> Result<(), ArchiveError<S::Error>> {
        let mut left = entry.size;
        while 0 < left {
            let bytes = self.supply.available().map_err(ArchiveError::Supply)?;
            let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if count == 0 {
                return Err(refused(&entry.path, "ends before its last byte"));
            }
            take(&bytes[..count]).map_err(ArchiveError::Supply)?;
            self.supply.consume(count);
            left -= count as u64;
        }
        self.exactly(padding(entry.size)).map(drop)
    }

    /// What follows the end of an archive belongs to nobody: tar fills up to its own block size.
    pub fn drain(&mut self) -> Result<(), S::Error> {
        loop {
            let count = self.supply.available()?.len();
            if count == 0 {
                return Ok(());
            }
            self.supply.consume(count);
        }
    }

    /// Where the bytes come from.
    pub const fn supply(&self) -> &S {
        &self.supply
    }

    fn extension(&mut self, header: &Header) -> Result<Extension, ArchiveError<S::Error>> {
        let bytes = self.description(header)?;
        let extension = Extension::read(&bytes).map_err(|Malformed| ArchiveError::Damaged)?;
        if extension.is_sparse {
            return Err(refused(&header.path, "describes a sparse file, which is not unpacked"));
        }
        Ok(extension)
    }

    /// What stands in the place of a file's content, and describes the next one.
    fn description(&mut self, header: &Header) -> Result<Vec<u8>, ArchiveError<S::Error>> {
        let size = usize::try_from(header.size).ok().filter(|size| *size <= EXTENSION_BYTES_MAX);
        let size = size
            .ok_or_else(|| refused(&header.path, &format!("is described in more than {EXTENSION_BYTES_MAX} bytes")))?;
        let bytes = self.exactly(size)?;
        self.exactly(padding(header.size))?;
        Ok(bytes)
    }

    /// `None` at the end of the bytes.
    fn block(&mut self) -> Result<Option<Block>, ArchiveError<S::Error>> {
        if self.supply.available().map_err(ArchiveError::Supply)?.is_empty() {
            return Ok(None);
        }
        let block = self.exactly(BLOCK_BYTES)?;
        Ok(block.as_array().copied())
    }

    fn exactly(&mut self, count: usize) -> Result<Vec<u8>, ArchiveError<S::Error>> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let bytes = self.supply.available().map_err(ArchiveError::Supply)?;
            let some = bytes.len().min(count - taken.len());
            if some == 0 {
                return Err(ArchiveError::Cut);
            }
            taken.extend_from_slice(&bytes[..some]);
            self.supply.consume(some);
        }
        Ok(taken)
    }

    fn malformed(&self, block: &Block) -> ArchiveError<S::Error> {
        if self.is_begun {
            ArchiveError::Damaged
        } else if block.starts_with(&GZIP) {
            ArchiveError::Compressed
        } else {
            ArchiveError::NoArchive
        }
    }
}

impl Said {
    fn add(&mut self, extension: Extension) {
        let before = std::mem::take(&mut self.extension);
        self.path = extension.path.or_else(|| self.path.take());
        self.link = extension.link.or_else(|| self.link.take());
        self.extension = Extension {
            uid: extension.uid.or(before.uid),
            gid: extension.gid.or(before.gid),
            size: extension.size.or(before.size),
            modified_s: extension.modified_s.or(before.modified_s),
            ..Extension::default()
        };
    }

    fn of(self, header: Header) -> Entry {
        let has_content = header.kind == Kind::File;
        let said = self.extension;
        Entry {
            kind: header.kind,
            path: self.path.unwrap_or(header.path),
            link: self.link.unwrap_or(header.link),
            mode: header.mode,
            uid: said.uid.unwrap_or(header.uid),
            gid: said.gid.unwrap_or(header.gid),
            // Of what has no content some archives tell a size all the same.
            size: if has_content { said.size.unwrap_or(header.size) } else { 0 },
            modified_s: said.modified_s.unwrap_or(header.modified_s),
        }
    }
}

fn refused<E>(path: &[u8], why: &str) -> ArchiveError<E> {
    ArchiveError::Entry { path: path.to_vec(), why: why.to_owned() }
}

fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    if name.last() == Some(&0) {
        name.pop();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that come a few at a time.
    struct Drips(Vec<u8>, usize);

    impl Supply for Drips {
        type Error = ();

        fn available(&mut self) -> Result<&[u8], ()> {
            Ok(&self.0[self.1..self.0.len().min(self.1 + 100)])
        }

        fn consume(&mut self, count: usize) {
            self.1 += count;
        }
    }

    fn header(kind: Kind, path: &[u8], size: u64) -> Header {
        Header { kind, path: path.to_vec(), link: Vec::new(), mode: 0o644, uid: 5, gid: 6, size, modified_s: 7 }
    }

    fn archive(parts: &[(Header, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (header, content) in parts {
            header.write(|block| bytes.extend_from_slice(block));
            bytes.extend_from_slice(content);
            bytes.extend(vec![0; padding(content.len() as u64)]);
        }
        bytes.extend_from_slice(&crate::PADDING);
        bytes
    }

    fn read(bytes: Vec<u8>) -> Result<Vec<(Entry, Vec<u8>)>, ArchiveError<()>> {
        let mut entries = Entries::new(Drips(bytes, 0));
        let mut all = Vec::new();
        while let Some(entry) = entries.entry()? {
            let mut content = Vec::new();
            entries.content(&entry, |bytes| {
                content.extend_from_slice(bytes);
                Ok(())
            })?;
            all.push((entry, content));
        }
        Ok(all)
    }

    #[test]
    fn entries_come_with_their_long_names_and_their_content() {
        let long = vec![b'n'; 300];
        let content = vec![b'c'; 700];
        let all =
            read(archive(&[(header(Kind::Directory, b"d/", 0), b""), (header(Kind::File, &long, 700), &content)]));
        let all = all.unwrap();
        assert_eq!((&all[0].0.path[..], all[0].0.kind), (&b"d/"[..], Kind::Directory));
        assert_eq!((&all[1].0.path, &all[1].1, all[1].0.uid, all[1].0.gid), (&long, &content, 5, 6));
    }

    #[test]
    fn what_is_no_whole_archive_is_told_apart() {
        let whole = archive(&[(header(Kind::File, b"a", 700), &[b'c'; 700])]);
        assert_eq!(read(whole[..700].to_vec()).unwrap_err(), refused(b"a", "ends before its last byte"));
        assert_eq!(read(whole[..300].to_vec()).unwrap_err(), ArchiveError::Cut);
        assert_eq!(read(vec![b'x'; 512]).unwrap_err(), ArchiveError::NoArchive);
        let mut damaged =
            archive(&[(header(Kind::Directory, b"a/", 0), b""), (header(Kind::Directory, b"b/", 0), b"")]);
        damaged[512] = b'c';
        assert_eq!(read(damaged).unwrap_err(), ArchiveError::Damaged);
        let mut gzip = vec![0; 512];
        gzip[..2].copy_from_slice(&GZIP);
        assert_eq!(read(gzip).unwrap_err(), ArchiveError::Compressed);
    }
}
