//! Quotas as callers see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Every quota of a tenant, and how much of it is in use.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"tenant": "default", "items": [
    {"name": "sandboxes", "unit": "count", "limit": 100, "used": 3}, {"name": "cpu", "unit": "cores", "limit": 32, "used": 1.5},
    {"name": "memory", "unit": "bytes", "limit": null, "used": 1_610_612_736}]}))]
pub struct QuotaReport {
    /// Whose.
    #[schema(example = "default")]
    pub tenant: String,
    /// All of them.
    pub items: Vec<Quota>,
}

/// A quota, and how much of it is in use now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Quota {
    /// As `quota_exceeded` names it: `sandboxes` that have not ended, their `cpu`, `memory` and `disk`, `executions` that
    /// run, and `output` that is stored.
    #[schema(value_type = crate::QuotaName, example = "sandboxes")]
    pub name: String,
    /// What it is counted in: `count`, `cores` or `bytes`.
    #[schema(example = "count")]
    pub unit: String,
    /// How much there may be; null is as much as the node has room for.
    #[schema(example = 100)]
    pub limit: Option<f64>,
    /// How much there is.
    #[schema(example = 3)]
    pub used: f64,
}
