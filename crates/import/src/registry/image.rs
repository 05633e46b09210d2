//! What an image is made of, as its registry says.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use sentinal_image::{Descriptor, Digest, Document, document};
use sentinal_model::{Error, limits::IMAGE_ARCHIVE_BYTES_MAX};

use super::{client::Registry, reference::Version};
use crate::{
    ImportError, layout,
    limits::{INDEX_DEPTH_MAX, LAYERS_MAX},
};

/// An image whose documents are there.
#[derive(Debug)]
pub(crate) struct RemoteImage {
    manifest: Vec<u8>,
    config: Vec<u8>,
    /// Each once.
    pub(super) layers: BTreeMap<Digest, u64>,
}

impl Registry {
    /// Asks what the image is made of, and refuses what is more than is taken before any of it is downloaded.
    pub(crate) async fn resolve(&self) -> Result<RemoteImage, ImportError> {
        let mut bytes = self.manifest(&self.reference.version).await?;
        for _ in 0..=INDEX_DEPTH_MAX {
            match document(&bytes).map_err(refused)? {
                Document::Next(next) => {
                    bytes = self.manifest(&Version::Digest(next.digest().map_err(refused)?)).await?;
                }
                Document::Manifest { config, layers } => return self.of_manifest(bytes, config, layers).await,
            }
        }
        Err(self.broken("its indexes never come to a manifest"))
    }

    async fn of_manifest(
        &self,
        manifest: Vec<u8>,
        config: Descriptor,
        layers: Vec<Descriptor>,
    ) -> Result<RemoteImage, ImportError> {
        if LAYERS_MAX < layers.len() {
            return Err(ImportError::TooLarge { what: "the image", max: LAYERS_MAX as u64, unit: "layers" });
        }
        let sized = layers.iter().map(|layer| Ok((layer.digest().map_err(refused)?, layer.size)));
        let layers: BTreeMap<Digest, u64> = sized.collect::<Result<_, ImportError>>()?;
        let bytes = layers.values().fold(0_u64, |sum, size| sum.saturating_add(*size));
        if IMAGE_ARCHIVE_BYTES_MAX < bytes {
            return Err(ImportError::TooLarge { what: "the image", max: IMAGE_ARCHIVE_BYTES_MAX, unit: "bytes" });
        }
        let config = self.document(config.digest().map_err(refused)?, config.size).await?;
        Ok(RemoteImage { manifest, config, layers })
    }
}

impl RemoteImage {
    /// Of all layers.
    pub(crate) fn bytes(&self) -> u64 {
        self.layers.values().sum()
    }

    /// Puts all of it where it looks like any layout of an image.
    pub(crate) fn lay_out(&self, layers: &BTreeMap<Digest, PathBuf>, folder: &Path) -> Result<(), ImportError> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(ImportError::io("make", &blobs))?;
        for (digest, path) in layers {
            let link = blobs.join(digest.hex());
            fs::hard_link(path, &link).map_err(ImportError::io("link", link))?;
        }
        layout::describe(folder, &self.manifest, &self.config)
    }
}

fn refused(error: sentinal_image::ImageError) -> ImportError {
    ImportError::Refused(Error::from(error))
}
