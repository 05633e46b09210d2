//! The folder with the images.
//!
//! ```text
//! <root>/sha256-<hex>.erofs    images, read-only, named after what they contain
//! <root>/names/<name>.json     what a name stands for
//! <root>/.build-<random>/      a build under way, or what a crash left of one
//! <root>/.incoming-<random>    an image that is being received, and is locked meanwhile
//! <root>/.lock                 held while building
//! ```
//!
//! Only a rename puts something into the first two places, so a reader needs no lock: it sees an image
//! whole or not at all.

mod install;
mod receive;
mod remove;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
use sentinal_model::{ImageName, Millis};

pub use self::{receive::Incoming, remove::Removed};
use crate::{Config, Digest, ImageError, Reference, Superblock, manifest::Manifest};

/// The images of one node.
#[derive(Debug, Clone)]
pub struct ImageStore {
    root: PathBuf,
}

/// What is known of an image under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// The image.
    pub image: ImageRef,
    /// When it was made.
    pub created: Millis,
    /// Where it came from; empty for what was built here.
    pub source: String,
    /// How its programs want to be started.
    pub config: Config,
}

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    /// What it was asked for by, or found under.
    pub reference: Reference,
    /// What it contains.
    pub digest: Digest,
    /// The EROFS file. It never changes; it may be removed when nothing uses it.
    pub path: PathBuf,
    /// The file's length.
    pub size_bytes: u64,
}

impl ImageRef {
    /// Notes that a sandbox is about to be made of it: in its file's time of access. That it cannot be noted is no
    /// reason not to make one.
    pub fn used(&self) {
        let at = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let times = Timestamps { last_access: at(UTIME_NOW), last_modification: at(UTIME_OMIT) };
        if let Err(error) = utimensat(CWD, &self.path, &times, AtFlags::SYMLINK_NOFOLLOW) {
            tracing::debug!(path = %self.path.display(), %error, "the use of an image was not noted");
        }
    }

    /// When that was, or when it came here.
    fn last_used(&self) -> SystemTime {
        fs::metadata(&self.path).and_then(|found| found.accessed()).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl ImageStore {
    /// The store in `root`, which need not exist yet: then the store is empty, and the first build makes it.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, ImageError> {
        let root = root.into();
        match fs::metadata(&root) {
            Ok(found) if !found.is_dir() => Err(ImageError::io("open the image store", root)(not_a_folder())),
            Ok(_) => Ok(Self { root }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { root }),
            Err(error) => Err(ImageError::io("open the image store", root)(error)),
        }
    }

    /// Where the images are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The image that `reference` (a name or a digest) stands for. Looks at the file's superblock and length,
    /// not at its content: that is [`ImageStore::verify`].
    pub fn resolve(&self, reference: &str) -> Result<ImageRef, ImageError> {
        let reference: Reference = reference.parse()?;
        match self.find(&reference)? {
            Some(image) => Ok(image),
            None => Err(ImageError::NotFound { wanted: reference.to_string(), known: self.known()? }),
        }
    }

    /// All usable images: the named ones in order of their names, then those that only have a digest.
    /// An unusable one is left out and logged.
    pub fn list(&self) -> Result<Vec<ImageRef>, ImageError> {
        let mut images = Vec::new();
        for file in names_in(&self.root.join("names"))? {
            let name = file.strip_suffix(".json").and_then(decode);
            images.extend(name.and_then(|name| self.usable(&Reference::Name(name))));
        }
        for file in names_in(&self.root)? {
            let hex = file.strip_prefix("sha256-").and_then(|rest| rest.strip_suffix(".erofs"));
            let digest = hex.and_then(|hex| format!("{}{hex}", Digest::PREFIX).parse().ok());
            let unnamed = digest.filter(|digest| images.iter().all(|image: &ImageRef| image.digest != *digest));
            images.extend(unnamed.and_then(|digest| self.usable(&Reference::Digest(digest))));
        }
        Ok(images)
    }

    /// All that is known of the image with a name.
    pub fn details(&self, name: &ImageName) -> Result<Details, ImageError> {
        let image = self.resolve(name.as_str())?;
        let manifest = self.manifest(name)?.ok_or_else(|| self.unknown(name))?;
        Ok(Details { image, created: Millis(manifest.created_ms), source: manifest.source, config: manifest.config })
    }

    fn unknown(&self, name: &ImageName) -> ImageError {
        ImageError::NotFound { wanted: name.to_string(), known: self.known().unwrap_or_default() }
    }

    /// Reads the whole image and compares it with its digest. Blocks for as long as the disk needs.
    pub fn verify(&self, image: &ImageRef) -> Result<(), ImageError> {
        let found = Digest::of_file(&image.path)?;
        if found == image.digest {
            return Ok(());
        }
        Err(ImageError::Damaged { path: image.path.clone(), found: found.to_string() })
    }

    /// The image of a reference; `None` if there is no such name, or no such file.
    fn find(&self, reference: &Reference) -> Result<Option<ImageRef>, ImageError> {
        let digest = match reference {
            Reference::Digest(digest) => Some(*digest),
            Reference::Name(name) => self.manifest(name)?.and_then(|manifest| manifest.digest()),
        };
        let Some(digest) = digest else { return Ok(None) };
        let path = self.image_path(&digest);
        match Superblock::read(&path) {
            Ok(Superblock { size_bytes }) => {
                Ok(Some(ImageRef { reference: reference.clone(), digest, path, size_bytes }))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Like `find`, for a list that one bad entry must not spoil.
    fn usable(&self, reference: &Reference) -> Option<ImageRef> {
        let unusable = |error: &ImageError| tracing::warn!(%reference, %error, "image left out of the list");
        self.find(reference).inspect_err(unusable).ok().flatten()
    }

    fn known(&self) -> Result<Vec<String>, ImageError> {
        Ok(self.list()?.iter().map(|image| image.reference.to_string()).collect())
    }

    pub(crate) fn manifest(&self, name: &ImageName) -> Result<Option<Manifest>, ImageError> {
        Manifest::read(&self.manifest_path(name))
    }

    pub(crate) fn image_path(&self, digest: &Digest) -> PathBuf {
        self.root.join(format!("sha256-{}.erofs", digest.hex()))
    }

    fn manifest_path(&self, name: &ImageName) -> PathBuf {
        self.root.join("names").join(format!("{}.json", encode(name)))
    }
}

/// A name as a file name: what may be in a name but not in a file name is written as in a URL.
fn encode(name: &ImageName) -> String {
    name.as_str().replace('/', "%2F").replace(':', "%3A")
}

fn decode(file: &str) -> Option<ImageName> {
    file.replace("%2F", "/").replace("%3A", ":").parse().ok()
}

/// The names in a folder, in order; none if there is no such folder.
fn names_in(folder: &Path) -> Result<Vec<String>, ImageError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ImageError::io("list", folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(ImageError::io("list", folder))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

fn is_missing(error: &ImageError) -> bool {
    matches!(error, ImageError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

fn not_a_folder() -> io::Error {
    io::Error::from(io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests;
