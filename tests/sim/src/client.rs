//! Clients: each does one thing after the other, writes down what was acknowledged, and looks at what it is told.

mod ask;
mod executions;
mod files;
mod sandboxes;
mod steps;

use std::{sync::Arc, time::Duration};

use sentinal_model::SandboxId;

use crate::processes::Site;

/// What is long for any answer, beside what the call itself waits for.
const PATIENCE: Duration = Duration::from_secs(150);

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
