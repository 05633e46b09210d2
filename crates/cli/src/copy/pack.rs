//! A folder of this machine as a tar stream.

use std::{
    collections::HashMap,
    fs::{self, File, FileType, Metadata},
    io::{self, Read, Write},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
};

use sentinal_archive::{Header, Kind, PADDING, padding};

use super::ignore::Ignore;
use crate::show::{clean, note};

/// Writes everything in `folder` but what `ignore` leaves out, links as links, all of it as root's. What a sandbox cannot
/// have (sockets, pipes, devices) is left out, too, and said.
pub(super) fn pack(folder: &Path, ignore: &Ignore, to: impl Write) -> io::Result<()> {
    let mut packing = Packing { to, names: HashMap::new() };
    // Folders whose content is still to come, the next one last.
    let mut waiting = vec![PathBuf::new()];
    while let Some(within) = waiting.pop() {
        let mut names: Vec<_> =
            fs::read_dir(folder.join(&within))?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
        names.sort();
        let mut folders = Vec::new();
        for name in names {
            let within = within.join(name);
            if ignore.leaves_out(&within) {
                // Something in it may be wanted; the folder comes with that.
                let is_entered = ignore.has_exceptions(&within) && fs::symlink_metadata(folder.join(&within))?.is_dir();
                folders.extend(is_entered.then_some(within));
                continue;
            }
            if packing.add(&folder.join(&within), &within).map_err(|error| named(&folder.join(&within), &error))? {
                folders.push(within);
            }
        }
        waiting.extend(folders.into_iter().rev());
    }
    packing.to.write_all(&PADDING)?;
    packing.to.flush()
}

struct Packing<W> {
    to: W,
    /// Files that have several names, by what they are, with the first name that was packed.
    names: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Packing<W> {
    /// Answers whether it is a folder, whose content is still to come.
    fn add(&mut self, path: &Path, within: &Path) -> io::Result<bool> {
        let meta = fs::symlink_metadata(path)?;
        let kind = meta.file_type();
        if kind.is_file() {
            self.file(path, within, &meta)?;
        } else if kind.is_dir() {
            self.header(Header {
                path: [bytes(within), b"/".to_vec()].concat(),
                ..header(Kind::Directory, within, &meta)
            })?;
        } else if kind.is_symlink() {
            let link = fs::read_link(path)?.into_os_string().into_vec();
            self.header(Header { link, ..header(Kind::Symlink, within, &meta) })?;
        } else {
            note(&format!("left out, as it is {}: {}", special(kind), clean(&path.to_string_lossy())));
        }
        Ok(kind.is_dir())
    }

    fn file(&mut self, path: &Path, within: &Path, meta: &Metadata) -> io::Result<()> {
        if 1 < meta.nlink() {
            if let Some(first) = self.names.get(&(meta.dev(), meta.ino())) {
                let link = bytes(first);
                return self.header(Header { link, ..header(Kind::Hardlink, within, meta) });
            }
            self.names.insert((meta.dev(), meta.ino()), within.to_owned());
        }
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        self.header(Header { size, ..header(Kind::File, within, meta) })?;
        if io::copy(&mut file.take(size), &mut self.to)? < size {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        self.to.write_all(&PADDING[..padding(size)])
    }

    fn header(&mut self, header: Header) -> io::Result<()> {
        let mut blocks = Vec::new();
        header.write(|block| blocks.extend_from_slice(block));
        self.to.write_all(&blocks)
    }
}

fn header(kind: Kind, within: &Path, meta: &Metadata) -> Header {
    Header {
        kind,
        path: bytes(within),
        link: Vec::new(),
        mode: meta.mode() & 0o7777,
        uid: 0,
        gid: 0,
        size: 0,
        modified_s: u64::try_from(meta.mtime()).unwrap_or(0),
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

fn special(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    match (kind.is_fifo(), kind.is_socket()) {
        (true, _) => "a named pipe",
        (_, true) => "a socket",
        (false, false) => "a device",
    }
}

/// Where it happened. That nobody takes any more is no matter of the file.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", clean(&path.to_string_lossy())))
}
