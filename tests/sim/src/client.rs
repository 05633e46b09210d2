//! Clients: each does one thing after the other, writes down what was acknowledged, and looks at what it is told.

mod ask;
mod steps;

use std::sync::Arc;

use sentinal_model::SandboxId;

use crate::processes::Site;

/// A client and its sandboxes.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) site: Arc<Site>,
    number: u32,
    /// Acknowledged, and not known to have ended.
    sandboxes: Vec<SandboxId>,
}

impl Client {
    pub(crate) const fn new(site: Arc<Site>, number: u32) -> Self {
        Self { site, number, sandboxes: Vec::new() }
    }
}
