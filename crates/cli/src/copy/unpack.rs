//! A tar stream from a sandbox, unpacked here. It is hostile: nothing of it gets outside the folder, neither by its
//! own path nor through a link, and no bit that lends rights arrives.

use std::{
    ffi::OsStr,
    fs::{self, File, FileTimes, Permissions},
    io::{self, Read, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use sentinal_archive::{ArchiveError, Entries, Entry, Kind, Reader};
use sentinal_model::limits;

use crate::show::{clean, note};

/// Entries of one archive: more than a server packs.
const ENTRIES_MAX: usize = 200_000;

type Archive<R> = Entries<Reader<R, io::Error>>;

/// Unpacks all of it into `folder`, which is made if it is missing.
pub(super) fn unpack(folder: &Path, from: impl Read) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let mut archive = Entries::new(Reader::new(from, |error| error));
    let (mut entries, mut bytes) = (0, 0_u64);
    // Folders get their bits when all is in them: what they have may keep even their owner out.
    let mut folders = Vec::new();
    while let Some(entry) = archive.entry().map_err(explained)? {
        (entries, bytes) = (entries + 1, bytes.saturating_add(entry.size));
        ensure!(entries <= ENTRIES_MAX && bytes <= limits::ARCHIVE_STREAM_BYTES_MAX, "the archive is over the limit");
        let shown = clean(&String::from_utf8_lossy(&entry.path));
        if let Some(made) = take(&mut archive, &entry, folder).with_context(|| shown)? {
            folders.push((made, entry.mode));
        }
    }
    for (made, mode) in folders.into_iter().rev() {
        fs::set_permissions(&made, bits(mode)).with_context(|| format!("set the mode of {}", made.display()))?;
    }
    // What sends it is to be heard to its end.
    archive.drain().context("read the archive")
}

/// Answers a folder that was made.
fn take(archive: &mut Archive<impl Read>, entry: &Entry, folder: &Path) -> Result<Option<PathBuf>> {
    let path = plain(&entry.path)?;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    ensure!(!is_through_link(folder, &path), "goes through a link; nothing after it was copied");
    let target = folder.join(&path);
    match entry.kind {
        Kind::Directory => return make_folder(&target).map(Some).context("make the folder"),
        Kind::File => write(archive, entry, &target)?,
        Kind::Symlink => link(entry, &path, &target)?,
        Kind::Hardlink
        | Kind::Special(_)
        | Kind::Other(_)
        | Kind::LongPath
        | Kind::LongLink
        | Kind::Extended
        | Kind::ExtendedForAll => bail!("is neither a file, a folder nor a link; nothing after it was copied"),
    }
    Ok(None)
}

/// The path without its dots; one that climbs or begins at the root is refused.
fn plain(path: &[u8]) -> Result<PathBuf> {
    let path = Path::new(OsStr::from_bytes(path));
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    ensure!(is_plain, "leads out of the folder; nothing after it was copied");
    Ok(path.components().filter(|part| matches!(part, Component::Normal(_))).collect())
}

/// One that is there keeps what is in it.
fn make_folder(target: &Path) -> io::Result<PathBuf> {
    if !fs::symlink_metadata(target).is_ok_and(|found| found.is_dir()) {
        clear(target)?;
        fs::create_dir_all(target)?;
    }
    fs::set_permissions(target, Permissions::from_mode(0o700))?;
    Ok(target.to_owned())
}

fn write(archive: &mut Archive<impl Read>, entry: &Entry, target: &Path) -> Result<()> {
    let made = parent(target).and_then(|()| clear(target)).and_then(|()| File::create_new(target));
    let mut file = made.context("make the file")?;
    archive.content(entry, |bytes| file.write_all(bytes)).map_err(explained)?;
    // A file system may not take every time.
    let modified = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(entry.modified_s));
    let _ = modified.map(|modified| file.set_times(FileTimes::new().set_modified(modified)));
    file.set_permissions(bits(entry.mode)).context("set its mode")
}

fn link(entry: &Entry, path: &Path, target: &Path) -> Result<()> {
    let to = Path::new(OsStr::from_bytes(&entry.link));
    if leads_out(path, to) {
        let (path, to) = (clean(&path.to_string_lossy()), clean(&to.to_string_lossy()));
        note(&format!("left out, as it leads out of the folder: {path} -> {to}"));
        return Ok(());
    }
    let made = parent(target).and_then(|()| clear(target)).and_then(|()| std::os::unix::fs::symlink(to, target));
    made.context("make the link")
}

fn parent(target: &Path) -> io::Result<()> {
    target.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Takes away a file or link that is there: what is written is new, and no other name of it changes.
fn clear(target: &Path) -> io::Result<()> {
    match fs::remove_file(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn bits(mode: u32) -> Permissions {
    Permissions::from_mode(mode & 0o777)
}

fn explained(error: ArchiveError<io::Error>) -> anyhow::Error {
    match error {
        ArchiveError::Supply(error) => anyhow!(error).context("copy the archive"),
        ArchiveError::Cut => anyhow!("the archive ends in the middle"),
        ArchiveError::Damaged | ArchiveError::Compressed | ArchiveError::NoArchive => {
            anyhow!("the server sent no archive that can be read")
        }
        ArchiveError::Entry { path, why } => anyhow!("{}: {}", clean(&String::from_utf8_lossy(&path)), clean(&why)),
    }
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
    use sentinal_archive::{Header, PADDING};

    use super::*;

    /// An archive of one entry whose path and target are taken as they are.
    fn archive(kind: Kind, path: &str, target: &str) -> Vec<u8> {
        let (path, link) = (path.as_bytes().to_vec(), target.as_bytes().to_vec());
        let mut bytes = Vec::new();
        let header = Header { kind, path, link, mode: 0o4755, uid: 0, gid: 0, size: 0, modified_s: 0 };
        header.write(|block| bytes.extend_from_slice(block));
        bytes.extend_from_slice(&PADDING);
        bytes
    }

    fn check(kind: Kind, path: &str, target: &str, is_taken: bool) {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("folder");
        let done = unpack(&folder, &archive(kind, path, target)[..]);
        assert_eq!(done.is_ok(), is_taken, "{path} {target} {done:?}");
        let names: Vec<_> = fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["folder"], "{path} {target}");
    }

    #[test]
    fn nothing_gets_out_of_the_folder() {
        check(Kind::File, "a", "", true);
        check(Kind::File, "../a", "", false);
        check(Kind::File, "a/../../b", "", false);
        check(Kind::File, "/tmp/cli-test-a", "", false);
        check(Kind::Hardlink, "a", "../b", false);
        check(Kind::Hardlink, "a", "/etc/passwd", false);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let mut bytes = archive(Kind::File, "a", "");
        let sum = |bytes: &mut Vec<u8>| {
            bytes[148..156].copy_from_slice(b"        ");
            let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
            bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        };
        for letter in [b'3', b'4', b'6', b'S', b'?'] {
            bytes[156] = letter;
            sum(&mut bytes);
            let folder = tempfile::tempdir().unwrap();
            assert!(unpack(folder.path(), &bytes[..]).is_err(), "{}", char::from(letter));
            assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
        }
    }

    #[test]
    fn what_was_packed_is_unpacked_as_it_was() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = from.path().join("a".repeat(120)).join("b".repeat(120));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("file"), vec![7; 100_000]).unwrap();
        fs::set_permissions(path.join("file"), Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("file", path.join("link")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o500)).unwrap();
        let mut bytes = Vec::new();
        super::super::pack::pack(from.path(), &super::super::ignore::Ignore::default(), &mut bytes).unwrap();
        unpack(to.path(), &bytes[..]).unwrap();
        let there = to.path().join(path.strip_prefix(from.path()).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(fs::read(there.join("link")).unwrap(), vec![7; 100_000]);
        assert_eq!((mode(&there.join("file")), mode(&there)), (0o640, 0o500));
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
        unpack(folder.path(), &archive(Kind::Symlink, "a", "/etc/passwd")[..]).unwrap();
        assert!(fs::symlink_metadata(folder.path().join("a")).is_err());
    }

    #[test]
    fn a_link_that_is_there_is_not_gone_through() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), folder.path().join("a")).unwrap();
        assert!(unpack(folder.path(), &archive(Kind::File, "a/b", "")[..]).is_err());
        assert!(fs::read_dir(outside.path()).unwrap().next().is_none());
    }

    #[test]
    fn rights_are_not_lent() {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path(), &archive(Kind::File, "a", "")[..]).unwrap();
        let mode = fs::metadata(folder.path().join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7000, 0, "{mode:o}");
    }
}
