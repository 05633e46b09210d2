//! Making folders, moving what is in them, and removing it.

mod remove;

use rustix::{
    fs::{AtFlags, CWD, Mode, RenameFlags},
    io::Errno,
};
use tonic::Status;

pub(super) use self::remove::remove;
use super::{
    place::{open_folder, split},
    refusal::refusal,
    walk,
};

/// Makes a folder with exactly these permissions; with parents it may be there already.
pub(super) fn make(path: &str, mode: Mode, with_parents: bool) -> Result<(), Status> {
    let refused = |errno| refusal(path, errno);
    let Some((parent, name)) = split(path) else {
        return if with_parents { check_folder(path) } else { Err(refused(Errno::EXIST)) };
    };
    let folder = open_folder(parent, with_parents).map_err(|errno| refusal(parent, errno))?;
    match rustix::fs::mkdirat(&folder, name, Mode::RWXU) {
        Ok(()) => {
            let name = std::ffi::CString::new(name).map_err(|_| refused(Errno::INVAL))?;
            // Not what somebody has put in its place meanwhile, if that is a link.
            let made = walk::open_folder(&folder, &name).map_err(refused)?;
            rustix::fs::fchmod(&made, mode).map_err(refused)
        }
        Err(Errno::EXIST) if with_parents => check_folder(path),
        Err(errno) => Err(refused(errno)),
    }
}

fn check_folder(path: &str) -> Result<(), Status> {
    let stat = rustix::fs::stat(path).map_err(|errno| refusal(path, errno))?;
    let is_folder = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir();
    if is_folder { Ok(()) } else { Err(Status::already_exists(format!("{path} exists and is not a folder"))) }
}

/// Renames; a link is moved itself.
pub(super) fn rename(from: &str, to: &str, overwrite: bool) -> Result<(), Status> {
    let renamed = if overwrite { rustix::fs::renameat(CWD, from, CWD, to) } else { rename_to_nothing(from, to) };
    renamed.map_err(|errno| match errno {
        Errno::EXIST if !overwrite => {
            Status::already_exists(format!("{to} exists; move with \"overwrite\": true to replace it"))
        }
        Errno::EXIST | Errno::NOTEMPTY => Status::failed_precondition(format!("{to} is a folder that is not empty")),
        Errno::XDEV => Status::failed_precondition(format!(
            "{from} and {to} are on different file systems; copy it with a program and remove it here"
        )),
        Errno::INVAL => Status::invalid_argument(format!("{from} cannot be moved into itself")),
        // Of the two paths it is the other one that lacks something.
        Errno::NOENT if exists(from) => refusal(split(to).map_or(to, |(parent, _)| parent), errno),
        Errno::NOTDIR | Errno::ISDIR if exists(from) => refusal(to, errno),
        errno => refusal(from, errno),
    })
}

/// In one step, unless the kernel or the file system has no such step.
fn rename_to_nothing(from: &str, to: &str) -> Result<(), Errno> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if !exists(to) => rustix::fs::renameat(CWD, from, CWD, to),
        Err(Errno::NOSYS | Errno::OPNOTSUPP) => Err(Errno::EXIST),
        other => other,
    }
}

fn exists(path: &str) -> bool {
    rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}
