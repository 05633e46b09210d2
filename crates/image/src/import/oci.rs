//! The OCI image layout: from `index.json` over manifests to layers, each named by the digest of its content.
//!
//! <https://github.com/opencontainers/image-spec>, version 1.1.

use serde::Deserialize;

use super::{
    Bounds,
    blob::{Layer, Parts},
    config::Written as WrittenConfig,
    source::Source,
};
use crate::{
    Digest, ImageError,
    limits::{DOCUMENT_BYTES_MAX, INDEX_DEPTH_MAX},
};

/// Where a part is, and what it must add up to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the part is.
    #[serde(default)]
    pub media_type: String,
    /// Of its content.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// Which machines it is for.
    pub platform: Option<Platform>,
}

/// A kind of machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, ...
    pub architecture: String,
}

/// A document that names others: an index or a manifest, which look alike.
#[derive(Debug, Deserialize)]
struct Written {
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

/// What a document turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// It names the manifest for this machine, or another index.
    Next(Descriptor),
    /// It is the manifest.
    Manifest {
        /// The image's configuration.
        config: Descriptor,
        /// From the lowest to the highest.
        layers: Vec<Descriptor>,
    },
}

/// The configuration of an image.
#[derive(Debug, Deserialize)]
pub(crate) struct ImageConfig {
    architecture: Option<String>,
    os: Option<String>,
    #[serde(default)]
    config: Option<WrittenConfig>,
    rootfs: Option<RootFs>,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

impl Descriptor {
    /// Its digest, of the one kind that is read here.
    pub fn digest(&self) -> Result<Digest, ImageError> {
        self.digest.parse().map_err(|_| {
            let digest: String = self.digest.chars().take(100).collect();
            ImageError::refused(format!("{digest:?} is no digest; only sha256 is read"))
        })
    }
}

/// Reads an index or a manifest, and chooses what is for machines like this.
pub fn document(bytes: &[u8]) -> Result<Document, ImageError> {
    let document: Written = parse(bytes, "a manifest in it")?;
    if let Some(manifests) = document.manifests {
        return choose(manifests).map(Document::Next);
    }
    let (Some(config), Some(layers)) = (document.config, document.layers) else {
        return Err(ImageError::refused("its manifest names no layers; only images of the second version are read"));
    };
    Ok(Document::Manifest { config, layers })
}

/// As the specifications name this machine's kind.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Those without a platform are for any machine; what is `unknown` describes the others and is no image.
fn choose(manifests: Vec<Descriptor>) -> Result<Descriptor, ImageError> {
    let fits = |manifest: &Descriptor| {
        let is_ours = |platform: &Platform| platform.os == "linux" && platform.architecture == architecture();
        manifest.platform.as_ref().is_none_or(is_ours)
    };
    let mut fitting: Vec<Descriptor> = manifests.into_iter().filter(fits).collect();
    fitting.dedup_by(|a, b| a.digest == b.digest);
    match fitting.len() {
        1 => Ok(fitting.remove(0)),
        0 => Err(ImageError::refused(format!("it is not made for linux/{}", architecture()))),
        count => Err(ImageError::refused(format!("it holds {count} images; give one alone"))),
    }
}

/// The layers and the configuration of the one image in a layout; all documents are what their names say.
pub(crate) fn parts(source: &Source, bounds: Bounds) -> Result<Parts, ImageError> {
    let mut found = document(&source.document("index.json")?)?;
    for _ in 0..INDEX_DEPTH_MAX {
        match found {
            Document::Next(next) => found = document(&blob(source, &next)?)?,
            Document::Manifest { config, layers } => return of_manifest(source, &config, &layers, bounds),
        }
    }
    Err(ImageError::refused("its indexes never come to a manifest"))
}

fn of_manifest(
    source: &Source,
    config: &Descriptor,
    layers: &[Descriptor],
    bounds: Bounds,
) -> Result<Parts, ImageError> {
    if bounds.layers < layers.len() {
        return Err(ImageError::TooLarge { what: "the image", max: bounds.layers as u64, unit: "layers" });
    }
    let config: ImageConfig = parse(&blob(source, config)?, "its configuration")?;
    let (config, diff_ids) = config.checked(layers.len())?;
    let named = layers.iter().zip(diff_ids).map(|(layer, unpacked)| {
        let digest = layer.digest()?;
        let name = blob_name(digest);
        sized(source, &name, layer.size)?;
        Ok(Layer { name, packed: Some(digest), unpacked })
    });
    Ok(Parts { config, layers: named.collect::<Result<_, ImageError>>()? })
}

impl ImageConfig {
    /// What it says, and the digests of its layers without compression.
    pub(crate) fn checked(self, layers: usize) -> Result<(super::Config, Vec<Digest>), ImageError> {
        if self.os.is_some_and(|os| os != "linux") || self.architecture.is_some_and(|name| name != architecture()) {
            return Err(ImageError::refused(format!("it is not made for linux/{}", architecture())));
        }
        let diff_ids = self.rootfs.map(|rootfs| rootfs.diff_ids).unwrap_or_default();
        if diff_ids.len() != layers {
            return Err(ImageError::refused("its configuration speaks of other layers than its manifest"));
        }
        let digest = |text: &String| text.parse().map_err(|_| ImageError::refused("a layer's digest is none"));
        let diff_ids = diff_ids.iter().map(digest).collect::<Result<_, _>>()?;
        Ok((self.config.unwrap_or_default().checked()?, diff_ids))
    }
}

/// A small blob, whole and as its name says.
fn blob(source: &Source, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
    if DOCUMENT_BYTES_MAX < descriptor.size {
        let max = DOCUMENT_BYTES_MAX;
        return Err(ImageError::TooLarge { what: "a document of the image", max, unit: "bytes" });
    }
    let digest = descriptor.digest()?;
    let name = blob_name(digest);
    sized(source, &name, descriptor.size)?;
    source.verify(&name, digest)?;
    source.document(&name)
}

fn sized(source: &Source, name: &str, expected: u64) -> Result<(), ImageError> {
    match source.size(name) {
        Some(size) if size == expected => Ok(()),
        Some(size) => Err(ImageError::refused(format!("{name} has {size} bytes, and {expected} were promised"))),
        None => Err(ImageError::refused(format!("{name} is missing in it"))),
    }
}

fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|error| ImageError::refused(format!("{what} cannot be read: {error}")))
}
