//! Files as block devices. A device frees itself with its last user: its holder, or a file system on it.

mod sys;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use self::sys::Backing;

/// How often a device is looked for that somebody else takes meanwhile.
const ATTEMPTS_MAX: u32 = 64;
/// Of the device; small ext4 file systems have blocks of two of them.
const BLOCK_BYTES: u32 = 512;

/// A file behind a block device, for as long as this or a file system on it exists.
#[derive(Debug)]
pub struct Loop {
    path: PathBuf,
    device: File,
}

impl Loop {
    /// Attaches a file that is written to.
    pub fn writable(file: &Path) -> io::Result<Self> {
        let opened = File::options().read(true).write(true).open(file)?;
        attach(&opened, false)
    }

    /// Attaches a file that is only read; where it is attached already, in whichever process, it is that device: what
    /// is mounted from it is one file system, with one cache.
    pub fn shared(file: &Path) -> io::Result<Self> {
        let opened = File::open(file)?;
        let metadata = opened.metadata()?;
        let wanted = Backing { device: metadata.dev(), inode: metadata.ino(), is_read_only: true };
        let existing = devices_of(file)?.into_iter().filter_map(|path| Self::held(path).ok());
        match existing.into_iter().find(|found| sys::backing(&found.device).is_ok_and(|backing| backing == wanted)) {
            Some(found) => Ok(found),
            None => attach(&opened, true),
        }
    }

    /// Where the device is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A device that exists: it stays attached for as long as it is held.
    fn held(path: PathBuf) -> io::Result<Self> {
        let device = File::open(&path)?;
        Ok(Self { path, device })
    }
}

fn attach(file: &File, is_read_only: bool) -> io::Result<Loop> {
    let control = File::options().read(true).write(true).open("/dev/loop-control")?;
    let mut attempt = 1;
    loop {
        let path = PathBuf::from(format!("/dev/loop{}", sys::free_device(&control)?));
        let device = File::options().read(true).write(!is_read_only).open(&path)?;
        match sys::attach(&device, file, BLOCK_BYTES, is_read_only) {
            Ok(()) => return Ok(Loop { path, device }),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && attempt < ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Devices that seem to have that file; what is really behind them is for the caller to ask.
fn devices_of(file: &Path) -> io::Result<Vec<PathBuf>> {
    let file = file.canonicalize()?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/block")? {
        let entry = entry?;
        let backing = fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default();
        if Path::new(backing.trim_end_matches('\n')) == file {
            found.push(Path::new("/dev").join(entry.file_name()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path) -> PathBuf {
        let path = folder.join("file");
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        path
    }

    #[test]
    fn a_shared_file_has_one_device_and_a_written_one_its_own() {
        if !rustix::process::geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
            return println!("SKIPPED: loop devices need root and a kernel that has them");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path());
        let written = Loop::writable(&path).unwrap();
        let first = Loop::shared(&path).unwrap();
        let second = Loop::shared(&path).unwrap();
        assert_eq!(first.path(), second.path());
        assert_ne!(first.path(), written.path());
        let device = first.path().to_owned();
        drop((first, second, written));
        // Free again, for anybody: not attached to ours at least.
        let left = devices_of(&path).unwrap();
        assert!(!left.contains(&device), "{left:?}");
    }
}
