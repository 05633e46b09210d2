//! Writes an image from its first byte to its last, and adds it up on the way.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
};

use super::{
    BLOCK_BITS, BLOCK_BYTES, MAGIC, SUPERBLOCK_OFFSET,
    layout::{INODE_BYTES, Layout, Place, blocks, entries},
};
use crate::{
    Digest,
    digest::Sum,
    import::tree::{Body, FileTree, NodeId, ROOT},
    recipe::{EPOCH_SECONDS, FILE_SYSTEM_ID},
};

const BUFFER_BYTES: usize = 1 << 20;
/// Times are those of the files.
const FEATURE_MTIME: u32 = 2;
/// The larger kind of inode; its content in blocks, or with the rest of it behind the inode.
const INODE_PLAIN: u16 = 1;
const INODE_INLINE: u16 = 1 | 2 << 1;

/// A finished image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
}

/// Writes what is in `tree`, whose files are in `contents`, to `out`. The same tree makes the same bytes.
pub(crate) fn write(tree: &FileTree, contents: &File, out: &File) -> io::Result<Written> {
    let layout = Layout::of(tree);
    let mut out = Out { file: BufWriter::with_capacity(BUFFER_BYTES, out), sum: Sum::default(), written: 0 };
    out.superblock(&layout)?;
    for id in &layout.order {
        out.content(&layout, *id, contents)?;
    }
    for (number, id) in (1..).zip(&layout.order) {
        out.inode(&layout, *id, number)?;
    }
    out.fill_up(BLOCK_BYTES)?;
    out.file.flush()?;
    Ok(Written { digest: out.sum.digest(), size_bytes: out.written })
}

struct Out<'a> {
    file: BufWriter<&'a File>,
    sum: Sum,
    written: u64,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.add(bytes);
        self.written += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn zeros(&mut self, count: u64) -> io::Result<()> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let count = usize::try_from(count).unwrap_or(0);
        self.put(&ZEROS[..count])
    }

    /// Up to the next multiple of a number that is not above a block.
    fn fill_up(&mut self, unit: u64) -> io::Result<()> {
        self.zeros(self.written.next_multiple_of(unit) - self.written)
    }

    fn superblock(&mut self, layout: &Layout<'_>) -> io::Result<()> {
        self.zeros(SUPERBLOCK_OFFSET)?;
        let root = layout.places.get(&ROOT).map_or(0, Place::number);
        let mut block = Vec::with_capacity(super::SUPERBLOCK_BYTES);
        block.extend(MAGIC.to_le_bytes());
        block.extend(0_u32.to_le_bytes()); // no checksum: the digest of the file covers more
        block.extend(FEATURE_MTIME.to_le_bytes());
        block.extend([BLOCK_BITS, 0]);
        block.extend(narrow::<u16>(root)?.to_le_bytes());
        block.extend((layout.order.len() as u64).to_le_bytes());
        block.extend(EPOCH_SECONDS.to_le_bytes());
        block.extend(0_u32.to_le_bytes());
        block.extend(narrow::<u32>(layout.blocks())?.to_le_bytes());
        block.extend(narrow::<u32>(layout.inodes_block)?.to_le_bytes());
        block.extend(0_u32.to_le_bytes());
        block.extend(file_system_id());
        block.resize(super::SUPERBLOCK_BYTES, 0);
        self.put(&block)?;
        self.fill_up(BLOCK_BYTES)
    }

    /// The content that has blocks.
    fn content(&mut self, layout: &Layout<'_>, id: NodeId, contents: &File) -> io::Result<()> {
        let Some(place) = layout.places.get(&id).filter(|place| 0 < place.block_bytes()) else { return Ok(()) };
        match &layout.node(id).body {
            Body::File { offset, size } => self.copy(contents, *offset, *size)?,
            Body::Folder(_) | Body::Symlink(_) => {
                let bytes = small(layout, id)?;
                let count = usize::try_from(place.block_bytes()).unwrap_or(usize::MAX);
                self.put(bytes.get(..count).ok_or(io::ErrorKind::InvalidData)?)?;
            }
        }
        self.fill_up(BLOCK_BYTES)
    }

    fn copy(&mut self, contents: &File, mut offset: u64, size: u64) -> io::Result<()> {
        let end = offset + size;
        let mut buffer = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(BUFFER_BYTES)];
        while offset < end {
            let count = buffer.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
            contents.read_exact_at(&mut buffer[..count], offset)?;
            self.put(&buffer[..count])?;
            offset += count as u64;
        }
        Ok(())
    }

    fn inode(&mut self, layout: &Layout<'_>, id: NodeId, number: u32) -> io::Result<()> {
        let Some(place) = layout.places.get(&id) else { return Ok(()) };
        let offset = layout.inodes_block * BLOCK_BYTES + place.inode_offset;
        self.zeros(offset - self.written)?;
        let (node, owner) = (layout.node(id), layout.node(id).owner);
        let kind: u16 = match &node.body {
            Body::Folder(_) => 0o040_000,
            Body::File { .. } => 0o100_000,
            Body::Symlink(_) => 0o120_000,
        };
        // A link has no permissions of its own; this is what every file system says of it.
        let mode = if matches!(node.body, Body::Symlink(_)) { 0o777 } else { owner.mode };
        let format = if 0 < place.inline_bytes { INODE_INLINE } else { INODE_PLAIN };
        let mut inode = Vec::with_capacity(64);
        inode.extend(format.to_le_bytes());
        inode.extend(0_u16.to_le_bytes());
        inode.extend((kind | mode).to_le_bytes());
        inode.extend(0_u16.to_le_bytes());
        inode.extend(place.size.to_le_bytes());
        inode.extend(narrow::<u32>(place.block)?.to_le_bytes());
        inode.extend(number.to_le_bytes());
        inode.extend(owner.uid.to_le_bytes());
        inode.extend(owner.gid.to_le_bytes());
        inode.extend(owner.modified_s.to_le_bytes());
        inode.extend(0_u32.to_le_bytes());
        inode.extend(place.links.to_le_bytes());
        inode.resize(usize::try_from(INODE_BYTES).unwrap_or(64), 0);
        self.put(&inode)?;
        if 0 < place.inline_bytes {
            let bytes = small(layout, id)?;
            let start = usize::try_from(place.block_bytes()).unwrap_or(usize::MAX);
            self.put(bytes.get(start..).ok_or(io::ErrorKind::InvalidData)?)?;
        }
        Ok(())
    }
}

/// The content of what is no file.
fn small(layout: &Layout<'_>, id: NodeId) -> io::Result<Vec<u8>> {
    match &layout.node(id).body {
        Body::Symlink(target) => Ok(target.to_vec()),
        Body::Folder(_) => folder(layout, id),
        Body::File { .. } => Ok(Vec::new()),
    }
}

/// Block after block: entries, then their names.
fn folder(layout: &Layout<'_>, id: NodeId) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for block in blocks(entries(layout, id)) {
        bytes.resize(bytes.len().next_multiple_of(usize::try_from(BLOCK_BYTES).unwrap_or(4096)), 0);
        let mut name_offset = block.len() * super::layout::ENTRY_BYTES;
        for (name, node) in &block {
            let number = layout.places.get(node).map_or(0, Place::number);
            let kind: u8 = match &layout.node(*node).body {
                Body::File { .. } => 1,
                Body::Folder(_) => 2,
                Body::Symlink(_) => 7,
            };
            bytes.extend(number.to_le_bytes());
            bytes.extend(narrow::<u16>(name_offset as u64)?.to_le_bytes());
            bytes.extend([kind, 0]);
            name_offset += name.len();
        }
        for (name, _) in &block {
            bytes.extend_from_slice(name);
        }
    }
    Ok(bytes)
}

/// What does not fit is an image beyond the format.
fn narrow<T: TryFrom<u64>>(number: u64) -> io::Result<T> {
    T::try_from(number).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
}

/// The digits of the id that every image has.
fn file_system_id() -> [u8; 16] {
    let digits: Vec<u8> = FILE_SYSTEM_ID.bytes().filter(|byte| *byte != b'-').collect();
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(digits.chunks(2)) {
        *byte = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or(0);
    }
    id
}
