//! Registries: the distribution specification, version 1.1, as far as pulling goes.
//!
//! <https://github.com/opencontainers/distribution-spec>
//!
//! A registry is a stranger, and so is whoever names one: where the server connects to is decided by `sentinal-outbound`, for
//! every address and every redirect; every byte that counts is added up ([`layers`]); every size is known and allowed before
//! it is asked for.

mod auth;
mod client;
mod image;
mod layers;
mod reference;
mod registries;

pub use self::{auth::Credentials, reference::Reference, registries::Registries};
pub(crate) use self::{client::Registry, layers::Layers};

/// How far a pull is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Of all layers, downloaded.
    pub bytes_done: u64,
    /// Of all layers.
    pub bytes_total: u64,
    /// Layers that are downloaded, and later those that are unpacked.
    pub layers_done: u64,
    /// Layers.
    pub layers_total: u64,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Layers are downloaded.
    Downloading,
    /// They are unpacked.
    Unpacking,
}

#[cfg(test)]
mod tests;
