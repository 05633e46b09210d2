//! Where everything goes: contents in blocks of their own from the first block on, then what describes them.
//!
//! A file's content begins a block and is not put behind its inode, because gVisor maps it. The rest of a folder and
//! the target of a link that fit there are.

use std::collections::HashMap;

use super::BLOCK_BYTES;
use crate::import::tree::{Body, FileTree, Node, NodeId, ROOT};

/// Of an inode of the larger kind, which has room for ids and times of any size.
pub(super) const INODE_BYTES: u64 = 64;
/// What inodes are counted in.
const SLOT_BYTES: u64 = 32;
/// Of an entry of a folder, without its name.
pub(super) const ENTRY_BYTES: usize = 12;

/// The plan of a whole image.
pub(super) struct Layout<'a> {
    pub(super) tree: &'a FileTree,
    /// What is in the image, each once, the root first; a folder before what is in it.
    pub(super) order: Vec<NodeId>,
    pub(super) places: HashMap<NodeId, Place>,
    /// The first block with inodes.
    pub(super) inodes_block: u64,
    /// Where the inodes end, in bytes from there.
    pub(super) inodes_bytes: u64,
}

/// Where a file, folder or link is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Of its inode, from the first block with inodes.
    pub(super) inode_offset: u64,
    /// Of the content that has blocks.
    pub(super) block: u64,
    /// Of the content in all.
    pub(super) size: u64,
    /// How much of it stands behind the inode.
    pub(super) inline_bytes: u64,
    /// Names, or folders in it and two more.
    pub(super) links: u32,
    /// What contains it, for a folder.
    pub(super) parent: NodeId,
}

impl Place {
    /// What folders name it by.
    pub(super) const fn number(&self) -> u64 {
        self.inode_offset / SLOT_BYTES
    }

    /// Of the content that has blocks of its own.
    pub(super) const fn block_bytes(&self) -> u64 {
        self.size - self.inline_bytes
    }
}

impl<'a> Layout<'a> {
    pub(super) fn of(tree: &'a FileTree) -> Self {
        let mut layout = Self { tree, order: Vec::new(), places: HashMap::new(), inodes_block: 0, inodes_bytes: 0 };
        layout.collect();
        let mut block = 1;
        for node in &layout.order {
            let Some(place) = layout.places.get_mut(node) else { continue };
            if 0 < place.block_bytes() {
                place.block = block;
                block += place.block_bytes().div_ceil(BLOCK_BYTES);
            }
        }
        layout.inodes_block = block;
        layout.place_inodes();
        layout
    }

    pub(super) fn node(&self, id: NodeId) -> &'a Node {
        &self.tree.nodes[id]
    }

    /// In blocks.
    pub(super) const fn blocks(&self) -> u64 {
        self.inodes_block + self.inodes_bytes.div_ceil(BLOCK_BYTES)
    }

    /// Goes through all that has a name.
    fn collect(&mut self) {
        let mut folders = vec![ROOT];
        self.add(ROOT, ROOT);
        while let Some(folder) = folders.pop() {
            let Some(children) = self.tree.children(folder) else { continue };
            for child in children.values() {
                if let Some(place) = self.places.get_mut(&child.node) {
                    place.links += 1;
                    continue;
                }
                self.add(child.node, folder);
                if self.tree.children(child.node).is_some() {
                    folders.push(child.node);
                }
            }
        }
    }

    fn add(&mut self, id: NodeId, parent: NodeId) {
        let (size, links) = match &self.node(id).body {
            Body::Folder(_) => (folder_size(self.tree, id), 2 + self.subfolders(id)),
            Body::File { size, .. } => (*size, 1),
            Body::Symlink(target) => (target.len() as u64, 1),
        };
        let is_file = matches!(self.node(id).body, Body::File { .. });
        let tail = size % BLOCK_BYTES;
        let inline_bytes = if is_file || BLOCK_BYTES < INODE_BYTES + tail { 0 } else { tail };
        self.places.insert(id, Place { inode_offset: 0, block: 0, size, inline_bytes, links, parent });
        self.order.push(id);
    }

    fn subfolders(&self, id: NodeId) -> u32 {
        let children = self.tree.children(id).into_iter().flatten();
        let folders = children.filter(|(_, child)| self.tree.children(child.node).is_some()).count();
        u32::try_from(folders).unwrap_or(u32::MAX)
    }

    /// An inode and what stands behind it are in one block.
    fn place_inodes(&mut self) {
        let mut offset = 0_u64;
        for node in &self.order {
            let Some(place) = self.places.get_mut(node) else { continue };
            let needed = INODE_BYTES + place.inline_bytes;
            let left = BLOCK_BYTES - offset % BLOCK_BYTES;
            if left < needed {
                offset += left;
            }
            place.inode_offset = offset;
            offset = (offset + needed).next_multiple_of(SLOT_BYTES);
        }
        self.inodes_bytes = offset;
    }
}

/// The names in a folder as they stand there: in the order of their bytes, with itself and what contains it.
pub(super) fn entries<'a>(layout: &Layout<'a>, id: NodeId) -> Vec<(&'a [u8], NodeId)> {
    let parent = layout.places.get(&id).map_or(ROOT, |place| place.parent);
    let mut entries: Vec<(&[u8], NodeId)> = vec![(b".", id), (b"..", parent)];
    let children = layout.tree.children(id).into_iter().flatten();
    entries.extend(children.map(|(name, child)| (&**name, child.node)));
    entries.sort_unstable();
    entries
}

/// The names of a folder's entries, a list for each of its blocks.
pub(super) fn blocks<T>(entries: Vec<(&[u8], T)>) -> Vec<Vec<(&[u8], T)>> {
    let (mut blocks, mut used) = (Vec::new(), BLOCK_BYTES);
    for (name, node) in entries {
        let needed = (ENTRY_BYTES + name.len()) as u64;
        if BLOCK_BYTES < used + needed {
            blocks.push(Vec::new());
            used = 0;
        }
        used += needed;
        if let Some(block) = blocks.last_mut() {
            block.push((name, node));
        }
    }
    blocks
}

fn folder_size(tree: &FileTree, id: NodeId) -> u64 {
    let mut names: Vec<(&[u8], ())> = vec![(b".", ()), (b"..", ())];
    names.extend(tree.children(id).into_iter().flatten().map(|(name, _)| (&**name, ())));
    names.sort_unstable();
    let blocks = blocks(names);
    let last: usize = blocks.last().into_iter().flatten().map(|(name, ())| ENTRY_BYTES + name.len()).sum();
    (blocks.len() as u64 - 1) * BLOCK_BYTES + last as u64
}
