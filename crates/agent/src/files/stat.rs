//! What a file is.

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Stat},
    io::Errno,
};
use sentinal_agent_protocol::v1::{self, FileStat};
use tonic::Status;

use super::refusal::refusal;
use crate::user::Names;

/// What a path names, or what it leads to.
pub(super) fn look(path: &str, follow: bool, names: &Names) -> Result<FileStat, Status> {
    let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    let stat = rustix::fs::statat(CWD, path, flags).map_err(|errno| refusal(path, errno))?;
    let mut told = tell(&stat, names);
    if FileType::from_raw_mode(stat.st_mode).is_symlink() {
        told.target = target(CWD, path).map_err(|errno| refusal(path, errno))?;
    }
    Ok(told)
}

/// What a name in an open folder is, without following it.
pub(super) fn look_at(folder: BorrowedFd<'_>, name: &CStr, names: &Names) -> Result<FileStat, Errno> {
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mut told = tell(&stat, names);
    if FileType::from_raw_mode(stat.st_mode).is_symlink() {
        told.target = target(folder, name)?;
    }
    Ok(told)
}

/// Where a link leads, as it is written there.
pub(super) fn target(folder: impl AsFd, name: impl rustix::path::Arg) -> Result<Vec<u8>, Errno> {
    Ok(rustix::fs::readlinkat(folder, name, Vec::new())?.into_bytes())
}

fn tell(stat: &Stat, names: &Names) -> FileStat {
    FileStat {
        r#type: kind(FileType::from_raw_mode(stat.st_mode)).into(),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        user: names.user(stat.st_uid),
        group: names.group(stat.st_gid),
        modified_ms: modified_ms(stat),
        target: Vec::new(),
    }
}

fn modified_ms(stat: &Stat) -> i64 {
    let millis = i64::try_from(stat.st_mtime_nsec / 1_000_000).unwrap_or(0);
    stat.st_mtime.saturating_mul(1000).saturating_add(millis)
}

const fn kind(kind: FileType) -> v1::FileType {
    match kind {
        FileType::RegularFile => v1::FileType::File,
        FileType::Directory => v1::FileType::Directory,
        FileType::Symlink => v1::FileType::Symlink,
        FileType::Fifo => v1::FileType::Fifo,
        FileType::Socket => v1::FileType::Socket,
        FileType::CharacterDevice | FileType::BlockDevice => v1::FileType::Device,
        FileType::Unknown => v1::FileType::Unspecified,
    }
}
