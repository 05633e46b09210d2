//! One sandbox's folder.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{CWD, Mode, OFlags};

use super::{Owner, remove::remove_tree};
use crate::{
    limits::RECORD_BYTES_MAX,
    record::{InvalidRecord, Record},
};

/// Where one sandbox's things are. Blocks: for a thread that may.
#[derive(Debug, Clone)]
pub(crate) struct InstanceFolder {
    path: PathBuf,
    server: Owner,
    /// No other node begins before everything that this one still does on a thread of its own is done.
    _held: Arc<File>,
}

/// What a folder says about its sandbox.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Its record.
    Record(Box<Record>),
    /// No record: nothing was done yet, or everything was undone.
    Nothing,
    /// Something that is no record.
    Unreadable(InvalidRecord),
}

impl InstanceFolder {
    pub(super) const fn new(path: PathBuf, server: Owner, held: Arc<File>) -> Self {
        Self { path, server, _held: held }
    }

    /// Where the server listens for the agent.
    pub(crate) fn host(&self) -> PathBuf {
        self.path.join("host")
    }

    /// Where the engine keeps its files of this instance.
    pub(crate) fn engine(&self) -> PathBuf {
        self.path.join("engine")
    }

    /// Makes everything but the record. What exists already is brought into the right hands.
    pub(crate) fn make(&self) -> io::Result<()> {
        make(&self.path, 0o711)?;
        make(&self.engine(), 0o700)?;
        let host = make(&self.host(), 0o700)?;
        std::os::unix::fs::fchown(&host, Some(self.server.uid), Some(self.server.gid))
    }

    /// Replaces the record: after a crash at any line the old one or the new one is there, whole. It is not forced to
    /// the disk: what it tells of does not outlive the host either, and remains are found without it.
    pub(crate) fn write(&self, record: &Record) -> io::Result<()> {
        let fresh = self.path.join("record.json.new");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(&record.to_json()?)?;
        fs::rename(fresh, self.record())
    }

    /// What the folder says about its sandbox.
    pub(crate) fn read(&self) -> io::Result<Kept> {
        let file = match File::open(self.record()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::Nothing),
            Err(error) => return Err(error),
        };
        let mut json = Vec::new();
        file.take(RECORD_BYTES_MAX).read_to_end(&mut json)?;
        Ok(match Record::from_json(&json) {
            Ok(record) => Kept::Record(Box::new(record)),
            Err(invalid) => Kept::Unreadable(invalid),
        })
    }

    /// Frees what an ended instance has on the disk; the record and the folders stay.
    pub(crate) fn clear(&self) -> io::Result<()> {
        remove_tree(&self.engine())?;
        remove_tree(&self.host())?;
        self.make()
    }

    /// Removes all of it, the record last, so that a crash on the way leaves something to go on from.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove_tree(&self.engine())?;
        remove_tree(&self.host())?;
        remove_tree(&self.path)
    }

    fn record(&self) -> PathBuf {
        self.path.join("record.json")
    }
}

/// The folder, whether it was there before or not; never through a link.
fn make(path: &Path, mode: u32) -> io::Result<File> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let folder = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?);
    // Again without the umask.
    folder.set_permissions(Permissions::from_mode(mode))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use sentinal_model::{Generation, SandboxId};
    use sentinal_node_protocol::HostBootId;

    use super::*;
    use crate::{record::PlacedImage, testing};

    const SERVER: Owner = Owner { uid: 4242, gid: 4343 };

    fn folder(place: &Path) -> InstanceFolder {
        let server = if Owner::of_this_process().uid == 0 { SERVER } else { Owner::of_this_process() };
        let held = Arc::new(tempfile::tempfile().unwrap());
        InstanceFolder::new(place.join("sbx"), server, held)
    }

    fn record() -> Record {
        let place = testing::place(SandboxId::from_bytes([1; 16]), Generation(1));
        let image =
            PlacedImage { name: place.image.clone(), digest: "sha256:00".to_owned(), path: PathBuf::from("/a") };
        Record::placed(&place, image, HostBootId("boot".to_owned()))
    }

    #[test]
    fn only_the_socket_folder_is_the_servers() {
        let place = tempfile::tempdir().unwrap();
        let folder = folder(place.path());
        folder.make().unwrap();
        folder.make().unwrap();
        let host = fs::metadata(folder.host()).unwrap();
        assert_eq!((host.uid(), host.gid(), host.mode() & 0o777), (folder.server.uid, folder.server.gid, 0o700));
        for (path, mode) in [(folder.path.clone(), 0o711), (folder.engine(), 0o700)] {
            let found = fs::metadata(path).unwrap();
            assert_eq!((found.uid(), found.mode() & 0o777), (Owner::of_this_process().uid, mode));
        }
    }

    #[test]
    fn a_write_that_died_half_way_leaves_the_record_before_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = folder(place.path());
        folder.make().unwrap();
        assert!(matches!(folder.read().unwrap(), Kept::Nothing));
        folder.write(&record()).unwrap();
        fs::write(folder.path.join("record.json.new"), "{\"vers").unwrap();
        assert!(matches!(folder.read().unwrap(), Kept::Record(found) if *found == record()));
        folder.remove().unwrap();
        folder.remove().unwrap();
        assert!(!folder.path.exists());
    }

    #[test]
    fn links_that_the_server_planted_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let precious = place.path().join("precious");
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("file"), "kept").unwrap();
        let folder = folder(place.path());
        folder.make().unwrap();
        symlink(&precious, folder.host().join("link")).unwrap();
        fs::create_dir(folder.host().join("inner")).unwrap();
        symlink(&precious, folder.host().join("inner/link")).unwrap();
        folder.clear().unwrap();
        assert_eq!(fs::read_dir(folder.host()).unwrap().count(), 0);
        symlink(&precious, folder.host().join("link")).unwrap();
        folder.remove().unwrap();
        assert!(precious.join("file").exists() && !folder.path.exists());
    }

    #[test]
    fn a_link_in_place_of_a_folder_is_refused_when_made_and_unlinked_when_removed() {
        let place = tempfile::tempdir().unwrap();
        let precious = place.path().join("precious");
        fs::create_dir(&precious).unwrap();
        let folder = folder(place.path());
        fs::create_dir(&folder.path).unwrap();
        symlink(&precious, folder.host()).unwrap();
        assert!(folder.make().is_err());
        folder.remove().unwrap();
        assert!(precious.exists() && !folder.path.exists());
    }
}
