//! The writing half of the store: a scratch folder for a build, and the two renames that end it.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::Write,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use tempfile::{Builder, TempDir};

use super::{ImageRef, ImageStore, names_in};
use crate::{Digest, ImageError, Reference, Superblock, manifest::Label};

const SCRATCH_PREFIX: &str = ".build-";

impl ImageStore {
    /// Makes the store's folders.
    pub(crate) fn create_folders(&self) -> Result<(), ImageError> {
        let names = self.root.join("names");
        DirBuilder::new().recursive(true).mode(0o755).create(&names).map_err(ImageError::io("create", names))
    }

    /// A folder for one build, on the same file system as the images and gone when dropped. The package tools
    /// read it as a user of their own, so it can be entered, but not listed, by everybody.
    pub(crate) fn scratch(&self) -> Result<TempDir, ImageError> {
        let folder = Builder::new().prefix(SCRATCH_PREFIX).tempdir_in(&self.root);
        let folder = folder.map_err(ImageError::io("create a folder in", &self.root))?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711))
            .map_err(ImageError::io("open up", folder.path()))?;
        Ok(folder)
    }

    /// Removes what crashed builds left. The caller holds the lock, so nothing here is in use. A leftover that
    /// cannot be removed costs space, not correctness: it is logged.
    pub(crate) fn sweep(&self) -> Result<(), ImageError> {
        for name in names_in(&self.root)?.iter().filter(|name| name.starts_with(SCRATCH_PREFIX)) {
            match fs::remove_dir_all(self.root.join(name)) {
                Ok(()) => tracing::info!(name, "leftover of an unfinished build removed"),
                Err(error) => tracing::warn!(name, %error, "leftover of an unfinished build stays"),
            }
        }
        Ok(())
    }

    /// Moves a finished image into the store and points `label`'s name to it. `file` must be in a
    /// [`scratch`](Self::scratch) folder. Blocks while it reads the file.
    pub(crate) fn install(&self, file: &Path, label: Label) -> Result<ImageRef, ImageError> {
        let digest = Digest::of_file(file)?;
        self.take(file, digest, label)
    }

    /// The same for a file whose digest is known.
    pub(super) fn take(&self, file: &Path, digest: Digest, label: Label) -> Result<ImageRef, ImageError> {
        let size_bytes = Superblock::read(file)?.size_bytes;
        fs::set_permissions(file, Permissions::from_mode(0o444)).map_err(ImageError::io("protect", file))?;
        sync(file)?;
        let path = self.image_path(&digest);
        fs::rename(file, &path).map_err(ImageError::io("move the image to", &path))?;
        sync(&self.root)?;
        let reference = Reference::Name(label.name.clone());
        self.write_manifest(label, digest, size_bytes)?;
        Ok(ImageRef { reference, digest, path, size_bytes })
    }

    fn write_manifest(&self, label: Label, digest: Digest, size_bytes: u64) -> Result<(), ImageError> {
        let path = self.manifest_path(&label.name);
        let folder = self.root.join("names");
        let json = label.manifest(digest, size_bytes).to_json();
        let json = json.map_err(|source| ImageError::Manifest { path: path.clone(), source })?;
        // The dot keeps a reader of the folder from taking it for a name.
        let write = || {
            let mut file =
                Builder::new().prefix(".new-").permissions(Permissions::from_mode(0o644)).tempfile_in(&folder)?;
            file.write_all(&json)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map_err(ImageError::io("write", &path))?;
        sync(&folder)
    }
}

pub(super) fn sync(path: &Path) -> Result<(), ImageError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(ImageError::io("write to the disk", path))
}
