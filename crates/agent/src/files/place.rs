//! Where an upload goes: an open folder and a name in it, all links followed with the user's rights.

use std::{
    ffi::CString,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{Access, AtFlags, CWD, FileType, Mode, OFlags},
    io::Errno,
};
use tonic::Status;

use super::refusal::{is_directory, not_regular, refusal};
use crate::limits::SYMLINKS_MAX;

/// A name in an open folder. The folder cannot be exchanged any more; the name may be, and a rename to it
/// replaces whatever is there by then without following it.
pub(super) struct Place {
    pub(super) folder: OwnedFd,
    pub(super) name: CString,
}

impl Place {
    /// Follows links, the last one too, as `cat > path` would.
    pub(super) fn find(path: &str, with_parents: bool) -> Result<Self, Status> {
        let mut wanted = path.to_owned();
        for _ in 0..SYMLINKS_MAX {
            let (parent, name) = split(&wanted).ok_or_else(|| is_directory(path))?;
            let folder = open_folder(parent, with_parents).map_err(|errno| refusal(parent, errno))?;
            match rustix::fs::readlinkat(&folder, name, Vec::new()) {
                Ok(target) => {
                    let target = target.into_string().map_err(|_| refusal(path, Errno::ILSEQ))?;
                    wanted = if target.starts_with('/') { target } else { format!("{parent}/{target}") };
                }
                // No link, or nothing at all.
                Err(Errno::INVAL | Errno::NOENT) => {
                    let name = CString::new(name).map_err(|_| refusal(path, Errno::INVAL))?;
                    return Ok(Self { folder, name });
                }
                Err(errno) => return Err(refusal(path, errno)),
            }
        }
        Err(refusal(path, Errno::LOOP))
    }

    /// Refuses what a program of this user could not write, and what is not a file.
    pub(super) fn check(&self, path: &str) -> Result<(), Status> {
        let kind = match rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(refusal(path, errno)),
        };
        if kind.is_dir() {
            return Err(is_directory(path));
        }
        if kind.is_file() { self.check_writable(path) } else { Err(not_regular(path)) }
    }

    fn check_writable(&self, path: &str) -> Result<(), Status> {
        let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::accessat(&self.folder, &self.name, Access::WRITE_OK, flags).map_err(|errno| refusal(path, errno))
    }
}

/// The folder's path and the last name, unless that can only be a directory.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    let (parent, name) = path.rsplit_once('/')?;
    let is_name = !matches!(name, "" | "." | "..");
    is_name.then_some((if parent.is_empty() { "/" } else { parent }, name))
}

pub(super) fn open_folder(path: &str, with_parents: bool) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Err(Errno::NOENT) if with_parents => {
            make_folders(path)?;
            rustix::fs::openat(CWD, path, flags, Mode::empty())
        }
        other => other,
    }
}

/// Every missing one on the way. Each step is the user's own, so that a link on the way leads only where the
/// user could have gone.
fn make_folders(path: &str) -> Result<(), Errno> {
    let ends = path.match_indices('/').map(|(end, _)| end).filter(|end| *end != 0).chain([path.len()]);
    for end in ends {
        match rustix::fs::mkdirat(CWD.as_fd(), &path[..end], Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST | Errno::ISDIR) => {}
            // A folder above may be unwritable or read-only and there all the same.
            Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) if is_there(&path[..end]) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn is_there(path: &str) -> bool {
    rustix::fs::stat(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_can_only_be_a_directory_has_no_name() {
        assert_eq!(split("/a/b"), Some(("/a", "b")));
        assert_eq!(split("/a"), Some(("/", "a")));
        for path in ["/", "/a/", "/a/.", "/a/..", "a"] {
            assert_eq!(split(path), None, "{path}");
        }
    }
}
