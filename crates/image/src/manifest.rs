//! What a name stands for, as a small JSON file in the store.

use std::{fs::File, io::Read, path::Path};

use sentinal_model::{ImageName, Millis};
use serde::{Deserialize, Serialize};

use crate::{Config, Digest, ImageError, limits::MANIFEST_BYTES_MAX};

/// The content of a manifest file. The name is in the file too, so that a copied file does not lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The name this manifest is of.
    pub(crate) name: String,
    /// The image it stands for, as [`Digest`] prints it.
    pub(crate) digest: String,
    /// The image's length.
    pub(crate) size_bytes: u64,
    /// When the image was made, in milliseconds since 1970.
    pub(crate) created_ms: i64,
    /// A digest over everything that went in: the same inputs need no second build.
    pub(crate) inputs: String,
    /// The packages inside, as `name_version_architecture`, for those who look for known weaknesses.
    #[serde(default)]
    pub(crate) packages: Vec<String>,
    /// Where it came from, in words of whoever brought it; empty for what was built here.
    #[serde(default)]
    pub(crate) source: String,
    /// How its programs want to be started.
    #[serde(default)]
    pub(crate) config: Config,
}

impl Manifest {
    /// The manifest in `path`; `None` if there is no such file.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, ImageError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ImageError::io("open", path)(error)),
        };
        let mut text = Vec::new();
        file.take(MANIFEST_BYTES_MAX).read_to_end(&mut text).map_err(ImageError::io("read", path))?;
        let unreadable = |source| ImageError::Manifest { path: path.to_owned(), source };
        serde_json::from_slice(&text).map(Some).map_err(unreadable)
    }

    /// The image it stands for; `None` if what is written there is no digest.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.digest.parse().ok()
    }

    /// As it is written to the disk.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec_pretty(self)
    }
}

/// What the store is told about a finished image.
#[derive(Debug, Clone)]
pub struct Label {
    /// What it is to be called.
    pub name: ImageName,
    /// Of all that went in; of what was brought from outside, the image's own.
    pub inputs: Digest,
    /// What is known to be inside.
    pub packages: Vec<String>,
    /// When it was made.
    pub created: Millis,
    /// Where it came from; empty for what was built here.
    pub source: String,
    /// How its programs want to be started.
    pub config: Config,
}

impl Label {
    /// The manifest that gives `digest` this label.
    pub(crate) fn manifest(self, digest: Digest, size_bytes: u64) -> Manifest {
        Manifest {
            name: self.name.to_string(),
            digest: digest.to_string(),
            size_bytes,
            created_ms: self.created.0,
            inputs: self.inputs.to_string(),
            packages: self.packages,
            source: self.source,
            config: self.config,
        }
    }
}
