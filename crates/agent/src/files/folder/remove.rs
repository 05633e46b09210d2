//! Removing what somebody else may fill, nest and exchange at the same time: by descriptors, through no link, in
//! bounded space and time.

use std::{
    ffi::{CStr, CString},
    os::fd::OwnedFd,
    time::Instant,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, unlinkat},
    io::Errno,
};
use tonic::Status;

use crate::{
    files::{refusal::refusal, unfinished::random_name, walk::open_folder},
    limits,
};

/// Names read of a folder before they are removed.
const NAMES_AT_ONCE: usize = 1024;

/// Removes a file, a link itself, or a folder, with what is in it if `recursive`.
pub(in crate::files) fn remove(path: &str, recursive: bool) -> Result<(), Status> {
    let refused = |errno| refusal(path, errno);
    match unlinkat(CWD, path, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        other => return other.map_err(refused),
    }
    let mut removal = None;
    loop {
        match unlinkat(CWD, path, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) if recursive => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                let message = format!("{path} is a folder that is not empty; remove it with recursive=true");
                return Err(Status::failed_precondition(message));
            }
            // Somebody else did the rest of the work.
            Err(Errno::NOENT) if removal.is_some() => return Ok(()),
            other => return other.map_err(refused),
        }
        let removal = match &mut removal {
            Some(removal) => removal,
            none => none.insert(Removal::begin(path)?),
        };
        removal.pass()?;
    }
}

struct Removal<'a> {
    path: &'a str,
    top: OwnedFd,
    deadline: Instant,
}

impl<'a> Removal<'a> {
    fn begin(path: &'a str) -> Result<Self, Status> {
        let name = CString::new(path).map_err(|_| refusal(path, Errno::INVAL))?;
        let top = open_folder(CWD, &name).map_err(|errno| refusal(path, errno))?;
        Ok(Self { path, top, deadline: Instant::now() + limits::FOLDER_WORK_MAX })
    }

    /// Removes what was there when it began. What is nested too deeply is moved up, for the next pass.
    fn pass(&self) -> Result<(), Status> {
        self.check_time()?;
        self.clear(&self.top, 1)
    }

    fn clear(&self, folder: &OwnedFd, depth: usize) -> Result<(), Status> {
        loop {
            let names = some_names(folder).map_err(|errno| refusal(self.path, errno))?;
            if names.is_empty() {
                return Ok(());
            }
            for name in &names {
                self.check_time()?;
                self.take_away(folder, name, depth)?;
            }
        }
    }

    fn take_away(&self, folder: &OwnedFd, name: &CStr, depth: usize) -> Result<(), Status> {
        let refused = |errno| refusal(&format!("{} (in {})", name.to_string_lossy(), self.path), errno);
        match unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR) => {}
            Err(errno) => return Err(refused(errno)),
        }
        if limits::REMOVE_DEPTH_MAX <= depth {
            let up = random_name().map_err(refused)?;
            return rustix::fs::renameat(folder, name, &self.top, &up).map_err(refused);
        }
        match open_folder(folder, name) {
            Ok(inner) => self.clear(&inner, depth + 1)?,
            // Exchanged or gone: the next look will tell.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(errno) => return Err(refused(errno)),
        }
        match unlinkat(folder, name, AtFlags::REMOVEDIR) {
            // Filled or exchanged meanwhile.
            Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(errno) => Err(refused(errno)),
        }
    }

    fn check_time(&self) -> Result<(), Status> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        let seconds = limits::FOLDER_WORK_MAX.as_secs();
        let message = format!("{} could not be removed whole within {seconds} seconds; ask again to go on", self.path);
        Err(Status::aborted(message))
    }
}

fn some_names(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
        if names.len() == NAMES_AT_ONCE {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{Mode, OFlags, mkdirat, openat};

    use super::*;

    #[test]
    fn neither_depth_nor_width_matters() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        fs::create_dir(&top).unwrap();
        let mut folder = openat(CWD, &top, OFlags::RDONLY, Mode::empty()).unwrap();
        for _ in 0..1000 {
            mkdirat(&folder, "deeper", Mode::RWXU).unwrap();
            folder = open_folder(&folder, c"deeper").unwrap();
        }
        for number in 0..3000 {
            fs::write(top.join(format!("file-{number}")), "").unwrap();
        }
        remove(top.to_str().unwrap(), true).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn a_folder_with_something_in_it_stays_unless_all_is_meant() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        fs::create_dir(&top).unwrap();
        std::os::unix::fs::symlink("/etc", top.join("link")).unwrap();
        let path = top.to_str().unwrap();
        assert_eq!(remove(path, false).unwrap_err().code(), tonic::Code::FailedPrecondition);
        remove(path, true).unwrap();
        assert!(!top.exists() && fs::exists("/etc").unwrap());
        assert_eq!(remove(path, true).unwrap_err().code(), tonic::Code::NotFound);
    }
}
