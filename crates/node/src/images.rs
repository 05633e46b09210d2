//! The images this node can boot, as far as it has to know about them.

use std::path::PathBuf;

use sentinal_image::{ImageRef, ImageStore, Reference};
use sentinal_model::{ImageName, Result};
use sentinal_node_protocol::ImageView;

/// A store of images. Its verbs block, for as long as a few small files take.
pub trait Images: Send + Sync + std::fmt::Debug {
    /// The image that a name stands for.
    fn resolve(&self, name: &ImageName) -> Result<Image>;

    /// All images that have a name.
    fn list(&self) -> Result<Vec<ImageView>>;
}

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What it contains, `sha256:` and 64 digits.
    pub digest: String,
    /// Its file. It never changes.
    pub path: PathBuf,
}

impl Images for ImageStore {
    fn resolve(&self, name: &ImageName) -> Result<Image> {
        let found = Self::resolve(self, name.as_str())?;
        Ok(Image { digest: found.digest.to_string(), path: found.path })
    }

    fn list(&self) -> Result<Vec<ImageView>> {
        Ok(Self::list(self)?.into_iter().filter_map(named).collect())
    }
}

fn named(image: ImageRef) -> Option<ImageView> {
    match image.reference {
        Reference::Name(name) => {
            Some(ImageView { name, digest: image.digest.to_string(), size_bytes: image.size_bytes })
        }
        Reference::Digest(_) => None,
    }
}
