//! A tar stream from a sandbox, unpacked here. It is hostile: nothing of it gets outside the folder, neither by its
//! own path nor through a link, and no bit that lends rights arrives.

use std::{
    fs,
    io::Read,
    path::{Component, Path},
};

use anyhow::{Context as _, Result, ensure};
use sentinal_model::limits;
use tar::{Archive, Entry, EntryType};

use crate::show::{clean, note};

/// Entries of one archive: more than a server packs.
const ENTRIES_MAX: usize = 200_000;

/// Unpacks all of it into `folder`, which is made if it is missing.
pub(super) fn unpack(folder: &Path, from: impl Read) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let mut archive = Archive::new(from);
    archive.set_preserve_ownerships(false);
    let (mut entries, mut bytes) = (0, 0_u64);
    for entry in archive.entries()? {
        let mut entry = entry.context("read the archive")?;
        (entries, bytes) = (entries + 1, bytes.saturating_add(entry.size()));
        ensure!(entries <= ENTRIES_MAX && bytes <= limits::ARCHIVE_STREAM_BYTES_MAX, "the archive is over the limit");
        take(&mut entry, folder)?;
    }
    Ok(())
}

fn take(entry: &mut Entry<'_, impl Read>, folder: &Path) -> Result<()> {
    let path = entry.path().context("read the archive")?.into_owned();
    let shown = clean(&path.to_string_lossy());
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    ensure!(is_plain, "{shown}: leads out of the folder; nothing after it was copied");
    let kind = entry.header().entry_type();
    ensure!(
        [EntryType::Regular, EntryType::Continuous, EntryType::Directory, EntryType::Symlink].contains(&kind),
        "{shown}: is neither a file, a folder nor a link; nothing after it was copied"
    );
    if kind.is_symlink() {
        let target = entry.link_name().context("read the archive")?.unwrap_or_default().into_owned();
        if leads_out(&path, &target) {
            note(&format!("left out, as it leads out of the folder: {shown} -> {}", clean(&target.to_string_lossy())));
            return Ok(());
        }
    }
    ensure!(!is_through_link(folder, &path), "{shown}: goes through a link; nothing after it was copied");
    let done = entry.unpack_in(folder).with_context(|| format!("write {shown}"))?;
    ensure!(done, "{shown}: leads out of the folder; nothing after it was copied");
    Ok(())
}

/// Whether one of the folders on the way to `path` is a link, so that it is not where its path says.
fn is_through_link(folder: &Path, path: &Path) -> bool {
    let folders = path.ancestors().skip(1).filter(|part| !part.as_os_str().is_empty());
    folders.into_iter().any(|part| folder.join(part).is_symlink())
}

/// Whether a link at `path` would show what is outside. It may climb at its beginning only: what comes after that may
/// be a link itself, whose parent is anybody's guess.
fn leads_out(path: &Path, target: &Path) -> bool {
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_)));
    let mut depth = Some(parts.count().saturating_sub(1));
    for part in target.components() {
        match (part, depth) {
            (Component::Normal(_), _) => depth = None,
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(left)) if 0 < left => depth = Some(left - 1),
            (Component::ParentDir | Component::RootDir | Component::Prefix(_), _) => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tar::{Builder, Header};

    use super::*;

    /// An archive of one entry whose path and target are taken as they are.
    fn archive(kind: EntryType, path: &str, target: &str) -> Vec<u8> {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o4755);
        header.set_size(0);
        header.set_cksum();
        let mut builder = Builder::new(Vec::new());
        builder.append(&header, &[][..]).unwrap();
        builder.into_inner().unwrap()
    }

    fn check(kind: EntryType, path: &str, target: &str, is_taken: bool) {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("folder");
        let done = unpack(&folder, &archive(kind, path, target)[..]);
        assert_eq!(done.is_ok(), is_taken, "{path} {target} {done:?}");
        let names: Vec<_> = fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["folder"], "{path} {target}");
    }

    #[test]
    fn nothing_gets_out_of_the_folder() {
        check(EntryType::Regular, "a", "", true);
        check(EntryType::Regular, "../a", "", false);
        check(EntryType::Regular, "a/../../b", "", false);
        check(EntryType::Regular, "/tmp/cli-test-a", "", false);
        check(EntryType::Link, "a", "../b", false);
        check(EntryType::Link, "a", "/etc/passwd", false);
        check(EntryType::Fifo, "a", "", false);
        check(EntryType::Char, "a", "", false);
    }

    #[test]
    fn links_that_lead_out_are_left_out() {
        for (path, target, is_out) in [
            ("a", "b", false),
            ("a/b", "../c", false),
            ("a/b", "../../c", true),
            ("a", "..", true),
            ("a", "/etc", true),
            ("a/b/c", "x/..", true),
        ] {
            assert_eq!(leads_out(Path::new(path), Path::new(target)), is_out, "{path} {target}");
        }
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path(), &archive(EntryType::Symlink, "a", "/etc/passwd")[..]).unwrap();
        assert!(fs::symlink_metadata(folder.path().join("a")).is_err());
    }

    #[test]
    fn a_link_that_is_there_is_not_gone_through() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), folder.path().join("a")).unwrap();
        assert!(unpack(folder.path(), &archive(EntryType::Regular, "a/b", "")[..]).is_err());
        assert!(fs::read_dir(outside.path()).unwrap().next().is_none());
    }

    #[test]
    fn rights_are_not_lent() {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path(), &archive(EntryType::Regular, "a", "")[..]).unwrap();
        let mode = fs::metadata(folder.path().join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7000, 0, "{mode:o}");
    }
}
