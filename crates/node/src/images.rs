//! The images this node can boot, as far as it has to know about them.

use std::{collections::BTreeSet, path::PathBuf};

use sentinal_image::{
    Config, Details, Digest, ImageRef, ImageStore, Incoming, InvalidDigest, Label, Reference, Removed, RunAs,
};
use sentinal_model::{Error, FreeSpace, ImageName, Result};
use sentinal_node_protocol::{ImageConfig, ImageDetails, ImageView, RemovedImages};

/// Where an image came from is told in so many characters.
const SOURCE_CHARS_MAX: usize = 512;

/// A store of images. Its verbs block, for as long as a few small files take.
pub trait Images: Send + Sync + std::fmt::Debug {
    /// The image that a name stands for, for a sandbox that is about to be made of it.
    fn resolve(&self, name: &ImageName) -> Result<Image>;

    /// All images that have a name.
    fn list(&self) -> Result<Vec<ImageView>>;

    /// All that is known of an image.
    fn inspect(&self, name: &ImageName) -> Result<ImageDetails>;

    /// Makes room for an image that is about to come.
    fn receive(&self, image: ImageDetails) -> Result<Box<dyn ReceiveImage>>;

    /// Takes a name away, and the image with its last one unless something needs it.
    fn remove(&self, name: &ImageName, in_use: &BTreeSet<String>) -> Result<RemovedImages>;

    /// Removes images that have no name and that nothing needs: all of them, or as long as less than this is free, that
    /// first whose last use is the longest ago.
    fn prune(&self, in_use: &BTreeSet<String>, until_free: Option<FreeSpace>) -> Result<RemovedImages>;
}

/// An image on its way into the store. Dropped before its end, it leaves nothing.
pub trait ReceiveImage: Send + std::fmt::Debug {
    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Gives it its name, if it is what was promised.
    fn finish(self: Box<Self>) -> Result<()>;
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
        found.used();
        Ok(Image { digest: found.digest.to_string(), path: found.path })
    }

    fn list(&self) -> Result<Vec<ImageView>> {
        Ok(Self::list(self)?.into_iter().filter_map(named).collect())
    }

    fn inspect(&self, name: &ImageName) -> Result<ImageDetails> {
        let Details { image, created, source, config } = self.details(name)?;
        let (digest, size_bytes, config) = (image.digest.to_string(), image.size_bytes, shown(config));
        Ok(ImageDetails { name: name.clone(), digest, size_bytes, source, created, config })
    }

    fn receive(&self, image: ImageDetails) -> Result<Box<dyn ReceiveImage>> {
        let digest = image.digest.parse().map_err(|error: InvalidDigest| Error::invalid(error.to_string()))?;
        let config = kept(image.config);
        config.check()?;
        let source = image.source.chars().take(SOURCE_CHARS_MAX).collect();
        let (name, created) = (image.name, image.created);
        let label = Label { name, inputs: digest, packages: Vec::new(), created, source, config };
        Ok(Box::new(Receiving { incoming: Self::receive(self, image.size_bytes)?, digest, label }))
    }

    fn remove(&self, name: &ImageName, in_use: &BTreeSet<String>) -> Result<RemovedImages> {
        Ok(gone(Self::remove(self, name, &|digest| in_use.contains(&digest.to_string()))?))
    }

    fn prune(&self, in_use: &BTreeSet<String>, until_free: Option<FreeSpace>) -> Result<RemovedImages> {
        Ok(gone(Self::prune(self, &|digest| in_use.contains(&digest.to_string()), until_free)?))
    }
}

#[derive(Debug)]
struct Receiving {
    incoming: Incoming,
    digest: Digest,
    label: Label,
}

impl ReceiveImage for Receiving {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.incoming.write(bytes)?)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.incoming.finish(self.digest, self.label)?;
        Ok(())
    }
}

fn kept(config: ImageConfig) -> Config {
    Config {
        env: config.env,
        working_dir: config.working_dir,
        user: config.user,
        run_as: if config.runs_as_user { RunAs::Image } else { RunAs::Ordinary },
        entrypoint: config.entrypoint,
        cmd: config.cmd,
    }
}

fn shown(config: Config) -> ImageConfig {
    ImageConfig {
        env: config.env,
        working_dir: config.working_dir,
        user: config.user,
        runs_as_user: config.run_as == RunAs::Image,
        entrypoint: config.entrypoint,
        cmd: config.cmd,
    }
}

fn gone(removed: Removed) -> RemovedImages {
    RemovedImages { digests: removed.digests.iter().map(ToString::to_string).collect(), bytes: removed.bytes }
}

fn named(image: ImageRef) -> Option<ImageView> {
    match image.reference {
        Reference::Name(name) => {
            Some(ImageView { name, digest: image.digest.to_string(), size_bytes: image.size_bytes })
        }
        Reference::Digest(_) => None,
    }
}
