//! A sandbox as callers see it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

/// A sandbox, as it is or as it was.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Sandbox {
    /// Begins with `sbx_`.
    #[schema(example = "sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70")]
    pub id: String,
    /// Where in its life it is.
    #[schema(value_type = crate::SandboxState, example = "running")]
    pub state: String,
    /// What runs it; null until that is chosen.
    #[schema(value_type = Option<crate::EngineName>, example = "gvisor")]
    pub engine: Option<String>,
    /// How strongly it is kept from the host; null until an engine is chosen.
    #[schema(value_type = Option<crate::Isolation>, example = "userspace-kernel")]
    pub isolation: Option<String>,
    /// Why this engine.
    pub engine_reason: Option<String>,
    /// Cores.
    #[serde(serialize_with = "shortest")]
    #[schema(example = 2)]
    pub cpu: f64,
    /// A Kubernetes quantity.
    #[schema(example = "2Gi")]
    pub memory: String,
    /// A Kubernetes quantity.
    #[schema(example = "1Gi")]
    pub disk: String,
    /// The image's name.
    #[schema(example = "default")]
    pub image: String,
    /// The caller's own marks.
    pub labels: BTreeMap<String, String>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When its ttl runs out; RFC 3339.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// Seconds it may be idle before it is ended; null: until its ttl.
    #[schema(example = 60)]
    #[serde(serialize_with = "shortest_if_any")]
    pub idle_timeout: Option<f64>,
    /// When nothing was left of it; RFC 3339.
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
    /// How it ended; null until then.
    #[schema(value_type = Option<crate::SandboxOutcome>)]
    pub outcome: Option<String>,
    /// What went wrong.
    pub message: Option<String>,
}

/// Two are `2`, not `2.0`, as they were written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn shortest<S: Serializer>(number: &f64, target: S) -> Result<S::Ok, S::Error> {
    let text = number.to_string();
    match text.parse::<u64>() {
        Ok(whole) => target.serialize_u64(whole),
        Err(_) => target.serialize_f64(*number),
    }
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn shortest_if_any<S: Serializer>(number: &Option<f64>, target: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => shortest(number, target),
        None => target.serialize_none(),
    }
}
