//! One layer, entry by entry, into the tree.

use std::io::Read;

use sentinal_archive::{Entries, Entry, Kind, Reader};

use super::{
    Bounds,
    scratch::Scratch,
    source::explained,
    tree::{Body, FileTree, Node, NodeId, Owner, parts},
};
use crate::ImageError;

/// What hides a name of the layers below, and what hides all of a folder.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What one storage driver wrote for itself.
const WHITEOUT_META: &[u8] = b".wh..wh.";

/// Everything that layers fill.
#[derive(Debug)]
pub(crate) struct Unpacking {
    pub(crate) tree: FileTree,
    pub(crate) scratch: Scratch,
    pub(crate) bounds: Bounds,
    pub(crate) entries: u64,
    names_bytes: u64,
    /// Devices and named pipes: a sandbox has its own.
    pub(crate) skipped: u64,
}

/// What the reader itself says in our words stays; the rest is a stream that cannot be decompressed.
fn unreadable(error: std::io::Error) -> ImageError {
    match error.downcast::<ImageError>() {
        Ok(error) => error,
        Err(error) => ImageError::refused(format!("it cannot be read: {error}")),
    }
}

impl Unpacking {
    pub(crate) const fn new(tree: FileTree, scratch: Scratch, bounds: Bounds) -> Self {
        Self { tree, scratch, bounds, entries: 0, names_bytes: 0, skipped: 0 }
    }

    /// Takes a whole layer, to the last byte of what is read.
    pub(crate) fn layer(&mut self, content: impl Read) -> Result<(), ImageError> {
        self.tree.next_layer();
        let mut entries = Entries::new(Reader::new(content, unreadable));
        while let Some(entry) = entries.entry().map_err(explained)? {
            self.add(&entry, &mut entries).map_err(|error| error.of_entry(&entry.path))?;
        }
        entries.drain()
    }

    fn add(&mut self, entry: &Entry, content: &mut Entries<Reader<impl Read, ImageError>>) -> Result<(), ImageError> {
        self.count(entry)?;
        let mut folders = parts(&entry.path)?;
        let Some(name) = folders.pop() else {
            // The root itself. Who may enter it is not the image's to say.
            return Ok(());
        };
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            self.whiteout(&folders, name, hidden)?;
            return content.content(entry, |_| Ok(())).map_err(explained);
        }
        let owner = owner(entry)?;
        let body = match entry.kind {
            Kind::Directory => Body::Folder(std::collections::BTreeMap::new()),
            Kind::Symlink => Body::Symlink(target(entry)?),
            Kind::File => {
                self.scratch.check(entry.size)?;
                let offset = self.scratch.end();
                let scratch = &mut self.scratch;
                let write = |bytes: &[u8]| scratch.write(bytes).map_err(ImageError::io("write", "scratch"));
                content.content(entry, write).map_err(explained)?;
                Body::File { offset, size: entry.size }
            }
            Kind::Hardlink => return self.link(entry, &folders, name),
            Kind::Special(_) => {
                self.skipped += 1;
                return Ok(());
            }
            Kind::Other(what) => return Err(ImageError::refused(format!("it is {what}"))),
            Kind::LongPath | Kind::LongLink | Kind::Extended | Kind::ExtendedForAll => return Ok(()),
        };
        let folder = self.enter(&folders)?;
        self.tree.put(folder, name, Node { owner, body });
        Ok(())
    }

    fn count(&mut self, entry: &Entry) -> Result<(), ImageError> {
        self.entries += 1;
        self.names_bytes += (entry.path.len() + entry.link.len()) as u64;
        if self.bounds.entries < self.entries {
            return Err(ImageError::TooLarge { what: "the image", max: self.bounds.entries, unit: "entries" });
        }
        if self.bounds.names_bytes < self.names_bytes {
            let max = self.bounds.names_bytes;
            return Err(ImageError::TooLarge { what: "the names in the image", max, unit: "bytes" });
        }
        Ok(())
    }

    fn enter(&mut self, folders: &[&[u8]]) -> Result<NodeId, ImageError> {
        let folder = self.tree.folder(folders)?;
        self.tree.touch(folders);
        Ok(folder)
    }

    /// Of a name that is not there nothing is hidden.
    fn whiteout(&mut self, folders: &[&[u8]], name: &[u8], hidden: &[u8]) -> Result<(), ImageError> {
        if name != OPAQUE && name.starts_with(WHITEOUT_META) {
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(ImageError::refused("it hides what is no name"));
        }
        let folder = self.enter(folders)?;
        if name == OPAQUE {
            self.tree.hide_below(folder);
        } else {
            self.tree.hide(folder, hidden);
        }
        Ok(())
    }

    fn link(&mut self, entry: &Entry, folders: &[&[u8]], name: &[u8]) -> Result<(), ImageError> {
        parts(&entry.link)?;
        let node = self.tree.find(&entry.link).filter(|node| self.tree.children(*node).is_none());
        let node = node.ok_or_else(|| ImageError::refused("it is a hard link to what is no file of the image"))?;
        let folder = self.enter(folders)?;
        self.tree.name(folder, name, node);
        Ok(())
    }
}

fn owner(entry: &Entry) -> Result<Owner, ImageError> {
    let id = |id: u64| u32::try_from(id).ok().filter(|id| *id != u32::MAX);
    let (Some(uid), Some(gid)) = (id(entry.uid), id(entry.gid)) else {
        return Err(ImageError::refused("its owner is no user id"));
    };
    let mode = u16::try_from(entry.mode & 0o1777).unwrap_or(0);
    Ok(Owner { mode, uid, gid, modified_s: entry.modified_s })
}

fn target(entry: &Entry) -> Result<Box<[u8]>, ImageError> {
    let is_sound = !entry.link.is_empty() && entry.link.len() <= crate::limits::PATH_BYTES_MAX;
    if is_sound && !entry.link.contains(&0) {
        return Ok(entry.link.clone().into());
    }
    Err(ImageError::refused("it is a symbolic link to what is no path"))
}
