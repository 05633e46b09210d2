//! What is where in the archive of a context.

use std::{
    collections::{BTreeMap, btree_map},
    fs::File,
    io,
};

use sentinal_archive::{ArchiveError, Entries, Entry, Kind, Reader};

use super::context;
use crate::{
    ImportError,
    limits::{CONTEXT_DEPTH_MAX, CONTEXT_ENTRIES_MAX, CONTEXT_NAMES_BYTES_MAX},
};

/// Everything in a context by its path, without dots and without a slash at either end.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: BTreeMap<Vec<u8>, Found>,
    names_bytes: usize,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) body: Body,
    pub(super) mode: u32,
    pub(super) modified_s: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Folder,
    /// Where in the archive its content is.
    File {
        offset: u64,
        size: u64,
    },
    Symlink(Vec<u8>),
}

impl Index {
    /// Reads all of an archive. Of several entries with one path the last counts.
    pub(super) fn of(archive: &File) -> Result<Self, ImportError> {
        let mut index = Self::default();
        let mut entries = Entries::new(Reader::new(archive, ImportError::io_of_context));
        while let Some(entry) = entries.entry().map_err(explained)? {
            let offset = entries.supply().position();
            index.add(&entry, offset)?;
            entries.content(&entry, |_| Ok(())).map_err(explained)?;
        }
        Ok(index)
    }

    fn add(&mut self, entry: &Entry, offset: u64) -> Result<(), ImportError> {
        let Some(path) = plain(&entry.path)? else { return Ok(()) };
        let body = match entry.kind {
            Kind::Directory => Body::Folder,
            Kind::File => Body::File { offset, size: entry.size },
            Kind::Symlink => Body::Symlink(entry.link.clone()),
            Kind::Hardlink => self.linked(entry)?,
            Kind::Other(what) => return Err(refused(&entry.path, &format!("is {what}, which is not read"))),
            // A sandbox has devices and pipes of its own.
            Kind::Special(_) | Kind::LongPath | Kind::LongLink | Kind::Extended | Kind::ExtendedForAll => return Ok(()),
        };
        for end in path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end) {
            self.folder(&path[..end])?;
        }
        self.put(path, Found { body, mode: entry.mode & 0o777, modified_s: entry.modified_s })
    }

    fn linked(&self, entry: &Entry) -> Result<Body, ImportError> {
        let target = plain(&entry.link)?.and_then(|path| self.entries.get(&path)).map(|found| found.body.clone());
        let target = target.filter(|body| matches!(body, Body::File { .. }));
        target.ok_or_else(|| refused(&entry.path, "is a hard link to what is no file of the context"))
    }

    /// One that no entry tells of.
    fn folder(&mut self, path: &[u8]) -> Result<(), ImportError> {
        match self.entries.get(path).map(|found| &found.body) {
            Some(Body::Folder) => Ok(()),
            Some(Body::File { .. } | Body::Symlink(_)) => Err(refused(path, "is no folder, and there are files in it")),
            None => self.put(path.to_vec(), Found { body: Body::Folder, mode: 0o755, modified_s: 0 }),
        }
    }

    fn put(&mut self, path: Vec<u8>, found: Found) -> Result<(), ImportError> {
        self.names_bytes += path.len();
        if let Body::Symlink(link) = &found.body {
            self.names_bytes += link.len();
        }
        match self.entries.entry(path) {
            btree_map::Entry::Vacant(vacant) => drop(vacant.insert(found)),
            btree_map::Entry::Occupied(mut there) => drop(there.insert(found)),
        }
        if CONTEXT_ENTRIES_MAX < self.entries.len() || CONTEXT_NAMES_BYTES_MAX < self.names_bytes {
            return Err(context(format!(
                "the context has more than {CONTEXT_ENTRIES_MAX} entries, or {CONTEXT_NAMES_BYTES_MAX} bytes of names"
            )));
        }
        Ok(())
    }

    /// What is at this path. The context itself is a folder.
    pub(super) fn at(&self, path: &[u8]) -> Option<Body> {
        if path.is_empty() { Some(Body::Folder) } else { self.entries.get(path).map(|found| found.body.clone()) }
    }

    /// It, and all that is known of it.
    pub(super) fn found(&self, path: &[u8]) -> Option<&Found> {
        self.entries.get(path)
    }

    /// All that is in a folder, however deep, a folder before what is in it.
    pub(super) fn below(&self, folder: &[u8]) -> impl Iterator<Item = (&[u8], &Found)> {
        let prefix = if folder.is_empty() { Vec::new() } else { [folder, b"/"].concat() };
        let all = self.entries.range(prefix.clone()..);
        let length = prefix.len();
        let below = all.take_while(move |(path, _)| path.starts_with(&prefix));
        below.map(move |(path, found)| (&path[length..], found))
    }
}

/// The path without its dots; `None` for the context itself.
fn plain(path: &[u8]) -> Result<Option<Vec<u8>>, ImportError> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&&b".."[..]) {
        return Err(refused(path, "leads out of the context"));
    }
    if CONTEXT_DEPTH_MAX < parts.len() {
        return Err(refused(path, &format!("is nested deeper than {CONTEXT_DEPTH_MAX} folders")));
    }
    Ok((!parts.is_empty()).then(|| parts.join(&b'/')))
}

fn refused(path: &[u8], why: &str) -> ImportError {
    let shown: String = String::from_utf8_lossy(path).chars().take(200).collect();
    context(format!("{shown:?} {why}"))
}

fn explained(error: ArchiveError<ImportError>) -> ImportError {
    match error {
        ArchiveError::Supply(error) => error,
        ArchiveError::Cut => context("the context ends in the middle".to_owned()),
        ArchiveError::Damaged => context("the context is damaged: a header in it is none".to_owned()),
        ArchiveError::Compressed => context("the context is compressed; send it as it is".to_owned()),
        ArchiveError::NoArchive => context("the context is no tar stream".to_owned()),
        ArchiveError::Entry { path, why } => refused(&path, &why),
    }
}

impl ImportError {
    fn io_of_context(source: io::Error) -> Self {
        Self::Io { doing: "read", path: "the context".into(), source }
    }
}
