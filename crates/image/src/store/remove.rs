//! What takes images out of the store: a name, and then whatever no name stands for.

use std::{fs, io, time::SystemTime};

use sentinal_model::{FreeSpace, ImageName};

use super::{ImageStore, install::sync, names_in};
use crate::{Digest, ImageError, Reference, space::Space};

/// What is gone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// Images whose files were removed.
    pub digests: Vec<Digest>,
    /// What they took on the disk.
    pub bytes: u64,
}

impl ImageStore {
    /// Takes a name away, and the image with it if no other name stands for it. `in_use` says whether something still
    /// needs an image: then its last name stays. A crash in between leaves an image without a name, for
    /// [`ImageStore::prune`].
    pub fn remove(&self, name: &ImageName, in_use: &dyn Fn(&Digest) -> bool) -> Result<Removed, ImageError> {
        let digest = match self.manifest(name) {
            Ok(Some(manifest)) => manifest.digest(),
            Ok(None) => return Err(self.unknown(name)),
            Err(ImageError::Manifest { .. }) => None,
            Err(error) => return Err(error),
        };
        let named = self.named()?;
        let last = digest.filter(|digest| named.iter().filter(|named| *named == digest).count() < 2);
        if last.is_some_and(|digest| in_use(&digest)) {
            return Err(ImageError::InUse { name: name.to_string() });
        }
        let path = self.manifest_path(name);
        fs::remove_file(&path).map_err(ImageError::io("remove", &path))?;
        sync(&self.root().join("names"))?;
        let mut removed = Removed::default();
        if let Some(digest) = last {
            self.remove_file(digest, &mut removed)?;
        }
        Ok(removed)
    }

    /// Removes images that have no name and that nothing needs: all of them, or as long as less than `until_free` is free
    /// here, that first whose last use is the longest ago.
    pub fn prune(
        &self,
        in_use: &dyn Fn(&Digest) -> bool,
        until_free: Option<FreeSpace>,
    ) -> Result<Removed, ImageError> {
        let mut removed = Removed::default();
        if self.is_roomy(until_free)? {
            return Ok(removed);
        }
        let named = self.named()?;
        let mut unused: Vec<(SystemTime, Digest)> = Vec::new();
        for image in self.list()? {
            if let Reference::Digest(digest) = image.reference
                && !named.contains(&digest)
                && !in_use(&digest)
            {
                unused.push((image.last_used(), digest));
            }
        }
        unused.sort_unstable();
        for (_, digest) in unused {
            self.remove_file(digest, &mut removed)?;
            if self.is_roomy(until_free)? {
                break;
            }
        }
        Ok(removed)
    }

    /// Whether as much is free here as should be. Without a bound, never.
    fn is_roomy(&self, until_free: Option<FreeSpace>) -> Result<bool, ImageError> {
        let Some(until_free) = until_free else { return Ok(false) };
        match Space::of(self.root()) {
            Ok(space) => Ok(until_free.of(space.total_bytes) <= space.available_bytes),
            // Where there is no store yet there is nothing to remove.
            Err(error) if super::is_missing(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// What names stand for, one for each name, whether it is there or not.
    fn named(&self) -> Result<Vec<Digest>, ImageError> {
        let mut named = Vec::new();
        for file in names_in(&self.root().join("names"))? {
            let Some(name) = file.strip_suffix(".json").and_then(super::decode) else { continue };
            named.extend(self.manifest(&name).ok().flatten().and_then(|manifest| manifest.digest()));
        }
        Ok(named)
    }

    fn remove_file(&self, digest: Digest, removed: &mut Removed) -> Result<(), ImageError> {
        let path = self.image_path(&digest);
        let size = fs::metadata(&path).map_or(0, |found| found.len());
        match fs::remove_file(&path) {
            Ok(()) => {
                removed.digests.push(digest);
                removed.bytes += size;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(ImageError::io("remove", path)(error)),
        }
    }
}
