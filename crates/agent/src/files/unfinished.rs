//! A file that is written beside its place and renamed at the end, so that there is the whole file or none of it.

use std::{
    ffi::CStr,
    fmt::Write as _,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

const PREFIX: &str = ".sentinal-upload-";

/// Removed unless it is finished.
pub(super) struct Unfinished<'a> {
    folder: BorrowedFd<'a>,
    name: String,
    pub(super) file: OwnedFd,
    is_finished: bool,
}

impl<'a> Unfinished<'a> {
    pub(super) fn create(folder: BorrowedFd<'a>) -> Result<Self, Errno> {
        let name = random_name()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, &name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Self { folder, name, file, is_finished: false })
    }

    /// Replaces whatever has this name in the folder, without following it.
    pub(super) fn finish(mut self, name: &CStr, mode: Mode) -> Result<(), Errno> {
        rustix::fs::fchmod(&self.file, mode)?;
        rustix::fs::renameat(self.folder, &self.name, self.folder, name)?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            // Whoever took it away did our work.
            let _ = rustix::fs::unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}

pub(super) fn write_all(file: &OwnedFd, mut data: &[u8]) -> Result<(), Errno> {
    while !data.is_empty() {
        match rustix::io::write(file, data) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => data = data.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Whether a path is that of a file which is not finished.
pub(super) fn is_unfinished(path: &[u8]) -> bool {
    path.rsplit(|byte| *byte == b'/').next().is_some_and(|name| name.starts_with(PREFIX.as_bytes()))
}

/// Nobody inside can know it beforehand.
pub(super) fn random_name() -> Result<String, Errno> {
    let mut bytes = [0_u8; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    let mut name = PREFIX.to_owned();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    Ok(name)
}
