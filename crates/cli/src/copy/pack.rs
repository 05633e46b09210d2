//! A folder of this machine as a tar stream.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tar::{Builder, EntryType, Header};

use crate::show::{clean, note};

/// Writes everything in `folder`; links as links. What a sandbox cannot have (sockets, pipes, devices) is left out.
pub(super) fn pack(folder: &Path, to: impl Write) -> io::Result<()> {
    let mut archive = Builder::new(to);
    archive.follow_symlinks(false);
    archive.sparse(false);
    // Folders whose content is still to come, the next one last.
    let mut waiting = vec![PathBuf::new()];
    while let Some(within) = waiting.pop() {
        let mut names: Vec<_> =
            fs::read_dir(folder.join(&within))?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
        names.sort();
        let mut folders = Vec::new();
        for name in names {
            let within = within.join(name);
            if append(&mut archive, &folder.join(&within), &within)? == Appended::Folder {
                folders.push(within);
            }
        }
        waiting.extend(folders.into_iter().rev());
    }
    archive.into_inner()?.flush()
}

#[derive(PartialEq, Eq)]
enum Appended {
    Folder,
    Other,
}

fn append(archive: &mut Builder<impl Write>, path: &Path, within: &Path) -> io::Result<Appended> {
    let meta = fs::symlink_metadata(path)?;
    let kind = meta.file_type();
    if kind.is_dir() {
        archive.append_dir(within, path)?;
        return Ok(Appended::Folder);
    }
    if kind.is_file() {
        archive.append_file(within, &mut File::open(path)?)?;
    } else if kind.is_symlink() {
        let mut header = Header::new_gnu();
        header.set_metadata(&meta);
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, within, fs::read_link(path)?)?;
    } else {
        note(&format!("left out, as it is no file, folder or link: {}", clean(&path.to_string_lossy())));
    }
    Ok(Appended::Other)
}
