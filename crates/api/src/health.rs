//! Whether the server can do its job.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the server can do its job, and if not, why.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `healthy` or `unhealthy`.
    #[schema(example = "healthy")]
    pub status: Cow<'static, str>,
    /// What keeps it from that, by part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// That the process answers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Alive {
    /// `alive` or `ready`.
    #[schema(example = "alive")]
    pub status: Cow<'static, str>,
}

impl Health {
    /// Healthy if there is no reason not to be.
    pub fn new(reasons: Vec<String>) -> Self {
        let status = if reasons.is_empty() { "healthy" } else { "unhealthy" };
        Self { status: status.into(), reasons }
    }
}
