//! Where the parts of an image are: in an archive that holds them as files, or as files in a folder.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read, Seek},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use sentinal_archive::{ArchiveError, Entries, Entry, Kind, Supply};

use crate::{
    Digest, ImageError,
    digest::Sum,
    limits::{PARTS_MAX, SYMLINKS_MAX},
};

const BUFFER_BYTES: usize = 256 * 1024;

/// Files by name.
#[derive(Debug)]
pub(crate) struct Source {
    files: Vec<File>,
    parts: HashMap<String, Part>,
}

/// Where a file is.
#[derive(Debug, Clone, Copy)]
struct Part {
    file: usize,
    offset: u64,
    size: u64,
}

impl Source {
    /// The files in an archive that is not compressed. Of many only the first are known.
    pub(crate) fn in_archive(file: File) -> Result<Self, ImageError> {
        let (mut parts, mut links) = (HashMap::new(), HashMap::new());
        let mut entries = Entries::new(Blocks::new(&file));
        while let Some(entry) = entries.entry().map_err(explained)? {
            let offset = entries.supply().position();
            if let Some(name) = name(&entry).filter(|_| parts.len() + links.len() < PARTS_MAX) {
                if entry.kind == Kind::File {
                    parts.insert(name, Part { file: 0, offset, size: entry.size });
                } else if let Some(target) = target(&name, &entry) {
                    links.insert(name, target);
                }
            }
            entries.content(&entry, |_| Ok(())).map_err(explained)?;
        }
        // A layer that several images share may be a link: it is what it leads to, within the archive.
        let linked = links.keys().filter_map(|name| Some((name.clone(), *followed(name, &links, &parts)?)));
        let linked: Vec<(String, Part)> = linked.collect();
        for (name, part) in linked {
            parts.entry(name).or_insert(part);
        }
        Ok(Self { files: vec![file], parts })
    }

    /// The files of an image's layout on the disk: all are opened, so that none has to be later.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, ImageError> {
        let mut source = Self { files: Vec::new(), parts: HashMap::new() };
        for name in ["index.json", "oci-layout", "manifest.json"] {
            source.open(folder, name.to_owned())?;
        }
        let blobs = folder.join("blobs/sha256");
        let entries = fs::read_dir(&blobs).map_err(ImageError::io("list", &blobs))?;
        for entry in entries.take(PARTS_MAX) {
            let name = entry.map_err(ImageError::io("list", &blobs))?.file_name();
            source.open(folder, format!("blobs/sha256/{}", name.to_string_lossy()))?;
        }
        Ok(source)
    }

    fn open(&mut self, folder: &Path, name: String) -> Result<(), ImageError> {
        let path = folder.join(&name);
        let nofollow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = match fs::OpenOptions::new().read(true).custom_flags(nofollow).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(ImageError::io("open", path)(error)),
        };
        let size = file.metadata().map_err(ImageError::io("look at", path))?.len();
        self.parts.insert(name, Part { file: self.files.len(), offset: 0, size });
        self.files.push(file);
        Ok(())
    }

    /// Whether it is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.parts.contains_key(name)
    }

    /// How many bytes it has.
    pub(crate) fn size(&self, name: &str) -> Option<u64> {
        self.parts.get(name).map(|part| part.size)
    }

    /// A small file as a whole.
    pub(crate) fn document(&self, name: &str) -> Result<Vec<u8>, ImageError> {
        let max = crate::limits::DOCUMENT_BYTES_MAX;
        let mut reader = self.reader(name)?;
        if max < reader.left {
            return Err(ImageError::TooLarge { what: "a document of the image", max, unit: "bytes" });
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(ImageError::io("read", name))?;
        Ok(bytes)
    }

    /// The content of a file.
    pub(crate) fn reader(&self, name: &str) -> Result<Section<'_>, ImageError> {
        let part = self.parts.get(name).ok_or_else(|| ImageError::refused(format!("{name:?} is missing in it")))?;
        Ok(Section { file: &self.files[part.file], offset: part.offset, left: part.size })
    }

    /// The one archive that all of it is in, as a stream.
    pub(crate) fn whole(&self) -> impl Read + '_ {
        Tail(self.files.last().map(|file| Section { file, offset: 0, left: u64::MAX }))
    }

    /// Refuses what is not what its name says. Reads all of it, so that nothing is looked into before.
    pub(crate) fn verify(&self, name: &str, expected: Digest) -> Result<(), ImageError> {
        let found = Sum::of_reader(&mut self.reader(name)?).map_err(ImageError::io("read", name))?;
        if found == expected {
            return Ok(());
        }
        Err(ImageError::WrongDigest { what: name.to_owned(), expected: expected.to_string(), found: found.to_string() })
    }
}

/// The part that a link leads to, perhaps over other links.
fn followed<'a>(name: &str, links: &HashMap<String, String>, parts: &'a HashMap<String, Part>) -> Option<&'a Part> {
    let mut at = links.get(name)?;
    for _ in 0..SYMLINKS_MAX {
        if let Some(part) = parts.get(at) {
            return Some(part);
        }
        at = links.get(at)?;
    }
    None
}

/// Where a link leads, as a name in the archive; `None` if that is not within it, or it is no link.
fn target(name: &str, entry: &Entry) -> Option<String> {
    let link = std::str::from_utf8(&entry.link).ok().filter(|link| link.len() <= 512 && !link.starts_with('/'))?;
    let folder = match entry.kind {
        Kind::Symlink => name.rsplit_once('/').map_or("", |(folder, _)| folder),
        Kind::Hardlink => "",
        Kind::File
        | Kind::Directory
        | Kind::Special(_)
        | Kind::Other(_)
        | Kind::LongPath
        | Kind::LongLink
        | Kind::Extended
        | Kind::ExtendedForAll => return None,
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(link.split('/')).filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// As it is looked for: without a leading `./`.
fn name(entry: &Entry) -> Option<String> {
    let path = std::str::from_utf8(&entry.path).ok()?;
    let path = path.strip_prefix("./").unwrap_or(path);
    (path.len() <= 512).then(|| path.to_owned())
}

/// A part of a file.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..count], self.offset)?;
        if count == 0 && 0 < self.left && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// A file to its end, wherever that is.
struct Tail<'a>(Option<Section<'a>>);

impl Read for Tail<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(section) = &mut self.0 else { return Ok(0) };
        let count = section.file.read_at(buffer, section.offset)?;
        section.offset += count as u64;
        Ok(count)
    }
}

/// How long an open file is; no name is looked at for it.
pub(super) fn length(mut file: &File) -> Result<u64, ImageError> {
    let end = file.seek(io::SeekFrom::End(0)).map_err(ImageError::io("read", "archive"))?;
    file.rewind().map_err(ImageError::io("read", "archive"))?;
    Ok(end)
}

/// A file from its beginning, with a position.
struct Blocks<'a> {
    file: &'a File,
    buffer: Box<[u8]>,
    /// Of the buffer's first byte.
    offset: u64,
    start: usize,
    end: usize,
}

impl<'a> Blocks<'a> {
    fn new(file: &'a File) -> Self {
        Self { file, buffer: vec![0; BUFFER_BYTES].into(), offset: 0, start: 0, end: 0 }
    }

    const fn position(&self) -> u64 {
        self.offset + self.start as u64
    }
}

impl Supply for Blocks<'_> {
    type Error = ImageError;

    fn available(&mut self) -> Result<&[u8], ImageError> {
        if self.start == self.end {
            self.offset = self.position();
            let count = self.file.read_at(&mut self.buffer, self.offset).map_err(ImageError::io("read", "archive"))?;
            (self.start, self.end) = (0, count);
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
    }
}

pub(super) fn explained(error: ArchiveError<ImageError>) -> ImageError {
    match error {
        ArchiveError::Supply(error) => error,
        ArchiveError::Cut => ImageError::refused("the archive ends in the middle"),
        ArchiveError::Damaged => ImageError::refused("the archive is damaged: a header in it is none"),
        ArchiveError::Compressed => ImageError::refused("it is compressed twice"),
        ArchiveError::NoArchive => ImageError::refused("it is no tar stream"),
        ArchiveError::Entry { path, why } => ImageError::refused(why).of_entry(&path),
    }
}
