//! Changes below one folder, and nowhere else.
//!
//! The folder is full of symbolic links made for another root: an absolute one followed from here would lead
//! to this machine's own files. So the last part of a path is never followed (what is there is replaced), and
//! the folder it is in must turn out to lie below the root.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::{ImageError, recipe::EPOCH_SECONDS};

/// Whose a file in the image is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// A root folder under construction. All paths are relative to it.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(super) fn open(root: &Path) -> Result<Self, ImageError> {
        Ok(Self { root: root.canonicalize().map_err(ImageError::io("find", root))? })
    }

    /// The full path of `path`, whose parent folder exists afterwards.
    pub(super) fn place(&self, path: &str) -> Result<PathBuf, ImageError> {
        let full = self.root.join(path);
        let parent = full.parent().unwrap_or(&self.root);
        // A parent that is missing is made only where its own parent is inside: no folder is made elsewhere.
        if fs::symlink_metadata(parent).is_err() && parent != self.root {
            self.place(&self.relative(parent))?;
            DirBuilder::new().mode(0o755).create(parent).map_err(ImageError::io("create", parent))?;
        }
        let real = parent.canonicalize().map_err(ImageError::io("find", parent))?;
        if !real.starts_with(&self.root) || path.split('/').any(|part| part == "..") {
            return Err(ImageError::Escapes { path: full });
        }
        Ok(full)
    }

    pub(super) fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }

    pub(super) fn read(&self, path: &str) -> Result<String, ImageError> {
        let full = self.place(path)?;
        fs::read_to_string(&full).map_err(ImageError::io("read", full))
    }

    /// Removes whatever is at `path`; nothing there is fine.
    pub(super) fn remove(&self, path: &str) -> Result<(), ImageError> {
        let full = self.root.join(path);
        let removed = match fs::symlink_metadata(&full) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(self.place(path)?),
            Ok(_) => fs::remove_file(self.place(path)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(ImageError::io("remove", full))
    }

    /// Writes a file of root's in place of whatever is there.
    pub(super) fn write(&self, path: &str, content: &str, mode: u32) -> Result<(), ImageError> {
        self.remove(path)?;
        let full = self.place(path)?;
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&full)?;
            file.write_all(content.as_bytes())?;
            file.set_permissions(Permissions::from_mode(mode))
        };
        write().map_err(ImageError::io("write", &full))
    }

    pub(super) fn copy(&self, from: &str, to: &str) -> Result<(), ImageError> {
        self.write(to, &self.read(from)?, 0o644)
    }

    pub(super) fn link(&self, path: &str, target: &str) -> Result<(), ImageError> {
        self.remove(path)?;
        let full = self.place(path)?;
        symlink(target, &full).map_err(ImageError::io("link", full))
    }

    /// Makes sure of a folder of root's; what is in it stays.
    pub(super) fn folder(&self, path: &str, mode: u32) -> Result<(), ImageError> {
        let full = self.place(path)?;
        if !fs::symlink_metadata(&full).is_ok_and(|found| found.is_dir()) {
            self.remove(path)?;
            fs::create_dir(&full).map_err(ImageError::io("create", &full))?;
        }
        fs::set_permissions(&full, Permissions::from_mode(mode)).map_err(ImageError::io("protect", full))
    }

    pub(super) fn own(&self, path: &str, owner: Owner) -> Result<(), ImageError> {
        let full = self.place(path)?;
        lchown(&full, Some(owner.uid), Some(owner.gid)).map_err(ImageError::io("give away", full))
    }

    /// What is directly in a folder, in order; nothing if there is no such folder.
    pub(super) fn children(&self, folder: &str) -> Result<Vec<PathBuf>, ImageError> {
        children(&self.root.join(folder))
    }

    /// What is directly in `/usr/lib/<architecture>-linux-gnu`.
    pub(super) fn children_of_libraries(&self) -> Result<Vec<PathBuf>, ImageError> {
        let folders = self.children("usr/lib")?.into_iter();
        let libraries = folders.filter(|path| path.to_string_lossy().contains("-linux-gnu"));
        libraries.map(|path| children(&path)).collect::<Result<Vec<_>, _>>().map(|lists| lists.concat())
    }

    /// All files with an extension below a folder, in order of their paths.
    pub(super) fn files_below(&self, folder: &str, extension: &str) -> Result<Vec<PathBuf>, ImageError> {
        let mut found = Vec::new();
        walk(&self.root.join(folder), &mut |path, metadata| {
            if metadata.is_file() && path.extension().is_some_and(|actual| actual == extension) {
                found.push(path.to_owned());
            }
            Ok(())
        })?;
        found.sort_unstable();
        Ok(found)
    }

    /// Gives every file the same time stamp, and takes away the bits that would change a program's user: what
    /// runs in a sandbox may not gain privileges anyway.
    pub(super) fn normalize(&self) -> Result<(), ImageError> {
        fs::set_permissions(&self.root, Permissions::from_mode(0o755))
            .map_err(ImageError::io("protect", &self.root))?;
        walk(&self.root, &mut |path, metadata| {
            let mode = metadata.mode();
            if !metadata.is_symlink() && mode & 0o6000 != 0 {
                fs::set_permissions(path, Permissions::from_mode(mode & 0o1777))?;
            }
            let at = Timespec { tv_sec: EPOCH_SECONDS, tv_nsec: 0 };
            let times = Timestamps { last_access: at, last_modification: at };
            Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
        })
    }
}

fn children(folder: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ImageError::io("list", folder)(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>().map_err(ImageError::io("list", folder))?;
    paths.sort_unstable();
    Ok(paths)
}

/// Visits a folder's content and then the folder itself, without following symbolic links.
fn walk(path: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata) -> io::Result<()>) -> Result<(), ImageError> {
    let metadata = fs::symlink_metadata(path).map_err(ImageError::io("look at", path))?;
    if metadata.is_dir() {
        children(path)?.iter().try_for_each(|child| walk(child, visit))?;
    }
    visit(path, &metadata).map_err(ImageError::io("change", path))
}
