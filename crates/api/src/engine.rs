//! An engine as callers see it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An engine and whether it can be used now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Engine {
    /// Its name.
    #[schema(value_type = crate::EngineName, example = "gvisor")]
    pub name: String,
    /// How strongly it keeps a sandbox from the host.
    #[schema(value_type = crate::Isolation, example = "userspace-kernel")]
    pub isolation: String,
    /// Whether the server's minimum isolation allows it.
    pub allowed: bool,
    /// Whether its last probe succeeded.
    pub available: bool,
    /// What answered the probe; null if nothing did.
    #[schema(example = "runsc 0.0~20240729.0 (systrap)")]
    pub version: Option<String>,
    /// Why it cannot be used, and what to do; null if it can.
    pub reason: Option<String>,
}
