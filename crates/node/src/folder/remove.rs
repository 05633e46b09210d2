//! Removing a folder whose content is somebody else's: by descriptors, through no link, and in constant
//! space, so that no depth of nesting exhausts the stack or the table of open files.

use std::{ffi::CStr, io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{AtFlags, CWD, Dir, Gid, Mode, OFlags, Uid, fchmod, fchown, openat, renameat, unlinkat},
    io::Errno,
};

use crate::limits::REMOVAL_PASSES_MAX;

/// Removes what `path` names, be it a folder with all its content, a file or a link. Succeeds when there is
/// nothing. The folder that holds it must be this process's own.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let top = open(CWD, path)?;
    // From here on its former owner can neither enter nor change it.
    fchown(&top, Some(Uid::from_raw(rustix::process::geteuid().as_raw())), None::<Gid>)?;
    fchmod(&top, Mode::RWXU)?;
    let mut lifted = 0;
    for _ in 0..REMOVAL_PASSES_MAX {
        if pass(&top, &mut lifted)? == 0 {
            return Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?);
        }
    }
    Err(io::Error::other("the folder keeps being filled while it is removed"))
}

/// Removes the files in `top` and lifts the content of its folders into it. Answers how much was found.
fn pass(top: &OwnedFd, lifted: &mut u64) -> io::Result<usize> {
    let names = names(top)?;
    for name in &names {
        if is_folder_after_unlink(top, name)? {
            lift(top, name, lifted)?;
        }
    }
    Ok(names.len())
}

/// Moves the folders inside `top/name` up into `top`, removes the files, then the folder itself.
fn lift(top: &OwnedFd, name: &CStr, lifted: &mut u64) -> io::Result<()> {
    let folder = open(top, name)?;
    fchmod(&folder, Mode::RWXU)?;
    for inner in names(&folder)? {
        if is_folder_after_unlink(&folder, &inner)? {
            lift_one(&folder, &inner, top, lifted)?;
        }
    }
    match unlinkat(top, name, AtFlags::REMOVEDIR) {
        // Filled meanwhile: the next pass sees to it.
        Ok(()) | Err(Errno::NOTEMPTY) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Moves one folder up, under a name that nobody has taken.
fn lift_one(from: &OwnedFd, name: &CStr, top: &OwnedFd, lifted: &mut u64) -> io::Result<()> {
    loop {
        *lifted += 1;
        match renameat(from, name, top, format!(".lifted-{lifted}")) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes `name` unless it is a folder, and says whether it is one.
fn is_folder_after_unlink(folder: &OwnedFd, name: &CStr) -> io::Result<bool> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(false),
        Err(Errno::ISDIR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn open<P: rustix::path::Arg>(at: impl std::os::fd::AsFd, path: P) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    Ok(openat(at, path, flags, Mode::empty())?)
}

fn names(folder: &OwnedFd) -> io::Result<Vec<std::ffi::CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::mkdirat;

    use super::*;

    #[test]
    fn depth_does_not_matter() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        fs::create_dir(&top).unwrap();
        let mut folder = open(CWD, &top).unwrap();
        for _ in 0..5000 {
            mkdirat(&folder, "deeper", Mode::RWXU).unwrap();
            drop(openat(&folder, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap());
            folder = open(&folder, "deeper").unwrap();
        }
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn a_wide_tree_with_names_like_ours_goes_too() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        for path in ["a/.lifted-1/x", "a/b/c", ".lifted-1/.lifted-2/y", ".lifted-2", "z/.lifted-1"] {
            fs::create_dir_all(top.join(path)).unwrap();
        }
        fs::write(top.join("a/b/file"), "x").unwrap();
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn nothing_is_removed_already() {
        remove_tree(Path::new("/nonexistent/at/all")).unwrap();
    }
}
