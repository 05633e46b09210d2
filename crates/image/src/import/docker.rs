//! What `docker save` writes: `manifest.json`, which names a configuration and layers by file.
//!
//! Only the configuration's name tells a digest; those of the layers are in the configuration, without compression.

use serde::Deserialize;

use super::{
    Bounds,
    blob::{Layer, Parts},
    oci::{ImageConfig, parse},
    source::Source,
};
use crate::{Digest, ImageError};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    layers: Vec<String>,
}

pub(crate) fn parts(source: &Source, bounds: Bounds) -> Result<Parts, ImageError> {
    let document = source.document("manifest.json")?;
    let mut saved: Vec<Saved> = parse(&document, "manifest.json")?;
    let count = saved.len();
    let Some(saved) = saved.pop().filter(|_| count == 1) else {
        return Err(ImageError::refused(format!("it holds {count} images; save one alone")));
    };
    if bounds.layers < saved.layers.len() {
        return Err(ImageError::TooLarge { what: "the image", max: bounds.layers as u64, unit: "layers" });
    }
    if let Some(digest) = digest_of(&saved.config) {
        source.verify(&saved.config, digest)?;
    }
    let config: ImageConfig = parse(&source.document(&saved.config)?, "its configuration")?;
    let (config, diff_ids) = config.checked(saved.layers.len())?;
    let layers = saved.layers.into_iter().zip(diff_ids);
    let layers = layers.map(|(name, unpacked)| Layer { packed: digest_of_blob(&name), name, unpacked });
    Ok(Parts { config, layers: layers.collect() })
}

/// `<hex>.json` and `blobs/sha256/<hex>`.
fn digest_of(name: &str) -> Option<Digest> {
    digest_of_blob(name).or_else(|| format!("{}{}", Digest::PREFIX, name.strip_suffix(".json")?).parse().ok())
}

fn digest_of_blob(name: &str) -> Option<Digest> {
    format!("{}{}", Digest::PREFIX, name.strip_prefix("blobs/sha256/")?).parse().ok()
}
