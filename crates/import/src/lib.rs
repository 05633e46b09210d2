//! Images of others, on their way to the node: from an archive or a registry to one finished file.
//!
//! The server that does this is an ordinary user's process, and what it takes in is hostile. It writes an archive to the
//! disk without looking into it ([`Workshop::import`]), or asks a registry for what an image is made of and adds up
//! every byte ([`Workshop::pull`]). What is looked into, is looked into by a process of its own that can open nothing,
//! reach nobody and start nothing ([`work`]).
//!
//! For a build the server keeps the archive of its caller, of which it knows what is where ([`Context`]), and makes an
//! image of what the sandbox has become ([`Workshop::assemble`]).
//!
//! Everything under way is in a folder that the next start empties. Layers that were downloaded, whole or in part, are
//! kept beside it for a while, so that a pull that broke off goes on where it was.

mod context;
mod error;
mod layout;
mod limits;
mod registry;
mod worker;
mod workshop;

pub use context::Context;
pub use error::ImportError;
pub use registry::{Credentials, Progress, Reference, Registries, Stage};
pub use worker::{Program, work};
pub use workshop::{Made, Workshop};
