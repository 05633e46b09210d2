//! What layers add up to: folders, files and links, in memory.
//!
//! A path is resolved within the tree alone, whatever its links say: an absolute one begins at the tree's root, and
//! the root's parent is the root.

use std::collections::BTreeMap;

use crate::{
    ImageError,
    limits::{DEPTH_MAX, NAME_BYTES_MAX, PATH_BYTES_MAX, SYMLINKS_MAX},
};

/// A place in [`FileTree::nodes`].
pub(crate) type NodeId = usize;

/// Where every path begins.
pub(crate) const ROOT: NodeId = 0;

/// A part of a path.
pub(crate) type Name = Box<[u8]>;

/// One file, folder or link.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) owner: Owner,
    pub(crate) body: Body,
}

/// Whose something is, what may be done with it, and since when it is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    /// At most 0o1777: nothing in an image changes who a program is.
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds since 1970.
    pub(crate) modified_s: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Folder(BTreeMap<Name, Child>),
    /// Where in the scratch file its content is.
    File {
        offset: u64,
        size: u64,
    },
    Symlink(Box<[u8]>),
}

/// An entry of a folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Child {
    pub(crate) node: NodeId,
    /// The layer that named it last.
    layer: usize,
}

/// All of them. What was removed keeps its place and is not found any more.
#[derive(Debug)]
pub(crate) struct FileTree {
    pub(crate) nodes: Vec<Node>,
    layer: usize,
}

impl Owner {
    /// Root's, since 1970.
    pub(crate) const fn root(mode: u16) -> Self {
        Self { mode, uid: 0, gid: 0, modified_s: 0 }
    }
}

impl FileTree {
    pub(crate) fn new() -> Self {
        Self { nodes: vec![Node { owner: Owner::root(0o755), body: Body::Folder(BTreeMap::new()) }], layer: 0 }
    }

    /// What follows belongs to another layer.
    pub(crate) const fn next_layer(&mut self) {
        self.layer += 1;
    }

    pub(crate) fn children(&self, folder: NodeId) -> Option<&BTreeMap<Name, Child>> {
        match &self.nodes[folder].body {
            Body::Folder(children) => Some(children),
            Body::File { .. } | Body::Symlink(_) => None,
        }
    }

    pub(crate) fn child(&self, folder: NodeId, name: &[u8]) -> Option<NodeId> {
        self.children(folder)?.get(name).map(|child| child.node)
    }

    /// What a path leads to; links in the folders of its way are followed within the tree, one at its end is not.
    pub(crate) fn find(&self, path: &[u8]) -> Option<NodeId> {
        let mut parts = parts(path).ok()?;
        let Some(name) = parts.pop() else { return Some(ROOT) };
        let folder = self.walk(&parts, &mut Vec::new()).ok()?;
        self.child(folder, name)
    }

    /// The folder that a path leads to; what is missing of it is made.
    pub(crate) fn folder(&mut self, path: &[&[u8]]) -> Result<NodeId, ImageError> {
        let mut way = Vec::new();
        loop {
            match self.walk(path, &mut way) {
                Ok(folder) => return Ok(folder),
                Err(Stop::Missing { folder, name }) => {
                    self.put(folder, &name, Node { owner: Owner::root(0o755), body: Body::Folder(BTreeMap::new()) });
                }
                Err(Stop::NoFolder(name)) => {
                    let name = String::from_utf8_lossy(&name).into_owned();
                    return Err(ImageError::refused(format!("it goes through {name:?}, which is no folder")));
                }
                Err(Stop::Loop) => return Err(ImageError::refused("its folders are links in a circle")),
            }
        }
    }

    /// Puts something into a folder, in the place of what may be there. A folder keeps what is in it.
    pub(crate) fn put(&mut self, folder: NodeId, name: &[u8], node: Node) -> NodeId {
        let there = self.child(folder, name);
        if let (Some(there), Body::Folder(new)) = (there, &node.body)
            && new.is_empty()
            && self.children(there).is_some()
        {
            self.nodes[there].owner = node.owner;
            self.name(folder, name, there);
            return there;
        }
        let id = self.nodes.len();
        self.nodes.push(node);
        self.name(folder, name, id);
        id
    }

    /// Gives what is there another name.
    pub(crate) fn name(&mut self, folder: NodeId, name: &[u8], node: NodeId) {
        let layer = self.layer;
        if let Body::Folder(children) = &mut self.nodes[folder].body {
            children.insert(name.into(), Child { node, layer });
        }
    }

    /// Takes away what layers below have put into a folder under a name.
    pub(crate) fn hide(&mut self, folder: NodeId, name: &[u8]) {
        let Some(child) = self.children(folder).and_then(|children| children.get(name)).copied() else { return };
        if child.layer < self.layer {
            if let Body::Folder(children) = &mut self.nodes[folder].body {
                children.remove(name);
            }
        } else {
            self.hide_below(child.node);
        }
    }

    /// Takes away all that layers below have put into a folder.
    pub(crate) fn hide_below(&mut self, folder: NodeId) {
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            let layer = self.layer;
            let Body::Folder(children) = &mut self.nodes[folder].body else { continue };
            children.retain(|_, child| layer <= child.layer);
            folders.extend(children.values().map(|child| child.node));
        }
    }

    /// Takes away all that is in a folder.
    pub(crate) fn clear(&mut self, folder: NodeId) {
        if let Body::Folder(children) = &mut self.nodes[folder].body {
            children.clear();
        }
    }

    /// Marks the folders on the way to what this layer has put there: what is in them is its own now.
    pub(crate) fn touch(&mut self, path: &[&[u8]]) {
        let mut way = Vec::new();
        if self.walk(path, &mut way).is_ok() {
            for (folder, name, node) in way {
                self.name(folder, &name, node);
            }
        }
    }

    /// Goes from the root to a folder. `way` gets each folder that was entered, with what named it.
    fn walk(&self, path: &[&[u8]], way: &mut Vec<(NodeId, Name, NodeId)>) -> Result<NodeId, Stop> {
        way.clear();
        let mut left: Vec<Name> = path.iter().rev().map(|part| Name::from(*part)).collect();
        let (mut stack, mut links) = (vec![ROOT], 0);
        while let Some(part) = left.pop() {
            let folder = stack.last().copied().unwrap_or(ROOT);
            if &*part == b".." {
                if 1 < stack.len() {
                    stack.pop();
                }
                continue;
            }
            let Some(node) = self.child(folder, &part) else { return Err(Stop::Missing { folder, name: part }) };
            match &self.nodes[node].body {
                Body::Folder(_) => {
                    way.push((folder, part, node));
                    stack.push(node);
                }
                Body::File { .. } => return Err(Stop::NoFolder(part)),
                Body::Symlink(target) => {
                    links += 1;
                    if SYMLINKS_MAX < links {
                        return Err(Stop::Loop);
                    }
                    if target.starts_with(b"/") {
                        stack.truncate(1);
                    }
                    left.extend(split(target).rev().map(Name::from));
                }
            }
            if DEPTH_MAX < stack.len() {
                return Err(Stop::Loop);
            }
        }
        Ok(stack.last().copied().unwrap_or(ROOT))
    }
}

/// Why a walk ended early.
enum Stop {
    Missing { folder: NodeId, name: Name },
    NoFolder(Name),
    Loop,
}

/// The parts of an entry's path. One that begins with a slash is meant within the image.
pub(crate) fn parts(path: &[u8]) -> Result<Vec<&[u8]>, ImageError> {
    if PATH_BYTES_MAX < path.len() {
        return Err(ImageError::refused("its path is too long"));
    }
    let parts: Vec<&[u8]> = split(path).collect();
    if DEPTH_MAX < parts.len() {
        return Err(ImageError::refused(format!("it is nested deeper than {DEPTH_MAX} folders")));
    }
    for part in &parts {
        if *part == b".." {
            return Err(ImageError::refused("its path climbs with \"..\""));
        }
        if NAME_BYTES_MAX < part.len() || part.contains(&0) {
            return Err(ImageError::refused("its path has a name that is too long, or has a NUL byte"));
        }
    }
    Ok(parts)
}

fn split(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."))
}
