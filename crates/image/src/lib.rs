//! Images: from Debian packages, or from an image of somebody else's, to one read-only EROFS file that all sandboxes
//! share.
//!
//! [`build_default`] makes the default image without a registry and without Docker; [`ImageStore`] keeps
//! images by what they contain and finds them by name. Nothing a sandbox says comes in here: an image is
//! made from what this machine's package tools trust, and never changes once it has its name.
//!
//! A build that dies at any line leaves no file that could be taken for an image: everything happens in a
//! folder of its own, and the last two steps are renames (the image, then the name that points to it).
//!
//! Start at [`ImageStore`] (what is there) and [`build_default`] (how it comes to be); the recipe is in
//! `recipe.rs`.

mod apt;
mod build;
mod digest;
mod erofs;
mod error;
mod import;
mod limits;
mod lock;
mod manifest;
mod process;
mod progress;
mod recipe;
mod reference;
mod rootfs;
mod space;
mod store;

pub use apt::SourceChoice;
pub use build::{BuildOptions, Built, Outcome, Rebuild, build_default};
pub use digest::{Digest, InvalidDigest, Sum};
pub use erofs::{NotAnImage, Superblock};
pub use error::ImageError;
pub use import::{
    Bounds, Config, Descriptor, Document, Event as ImportEvent, ImportJob, Imported, Platform, RunAs, document,
    run as import,
};
pub use manifest::Label;
pub use progress::{Progress, ProgressSink, Silent, Step, TerminalProgress};
pub use reference::{InvalidReference, Reference};
pub use store::{Details, ImageRef, ImageStore, Incoming, Removed};
