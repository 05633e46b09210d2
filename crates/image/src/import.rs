//! From an image of somebody else's to one EROFS file.
//!
//! ```text
//! tar or folder -> source (blobs by name) -> oci | docker | root (layers in order, digests compared)
//!               -> layer (entries)        -> tree (what the layers add up to, in memory)
//!               -> complete (what a sandbox needs) -> erofs::write
//! ```
//!
//! All of it is hostile. No entry of an archive becomes a file of the host's: names, owners and links live in memory,
//! contents in one file without a name, and both end in the image. So there is no path that could lead elsewhere, no
//! device that could be made, and no right that is needed. What is read is bounded before it is held
//! ([`Bounds`]), and [`run`] is meant for a process that can do nothing else (`confine`).

mod blob;
mod complete;
mod config;
mod confine;
mod decode;
mod docker;
mod layer;
mod oci;
mod scratch;
mod source;
pub(crate) mod tree;
mod work;

pub use config::{Config, RunAs};
pub use oci::{Descriptor, Document, Platform, document};
pub use work::{Event, ImportJob, Imported, run};

use crate::limits;

/// What an image may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Contents of all files of all layers together, also of those that another layer removes.
    pub unpacked_bytes: u64,
    /// Entries of all layers together.
    pub entries: u64,
    /// Names and links of all layers together, in bytes.
    pub names_bytes: u64,
    /// Layers.
    pub layers: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            unpacked_bytes: limits::UNPACKED_BYTES_MAX,
            entries: limits::ENTRIES_MAX,
            names_bytes: limits::NAMES_BYTES_MAX,
            layers: limits::LAYERS_MAX,
        }
    }
}
