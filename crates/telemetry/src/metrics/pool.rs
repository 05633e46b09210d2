//! What the warm pools record.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use sentinal_model::EngineName;

use super::{Histograms, Metrics, step_seconds};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SandboxLabels {
    engine: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClaimLabels {
    engine: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EngineLabels {
    engine: &'static str,
}

pub(super) struct Figures {
    sandboxes: Family<SandboxLabels, Gauge>,
    claims: Family<ClaimLabels, Counter>,
    claim_seconds: Histograms<EngineLabels>,
}

/// How the pools of one engine stand, all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolCounts {
    /// How many there should be.
    pub wanted: usize,
    /// How many can be claimed at once.
    pub ready: usize,
    /// How many are on their way.
    pub booting: usize,
}

/// What became of a create that a pool could serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It got a pooled sandbox.
    Hit,
    /// None was ready.
    Miss,
    /// The one it was to get did not answer any more; another one was taken or booted.
    Lost,
}

impl Claim {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Lost => "lost",
        }
    }
}

impl Figures {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let figures = Self {
            sandboxes: Family::default(),
            claims: Family::default(),
            claim_seconds: Histograms::new_with_constructor(step_seconds),
        };
        registry.register(
            "sentinal_pool_sandboxes",
            "Pooled sandboxes by engine: how many are wanted, ready to be claimed, and booting",
            figures.sandboxes.clone(),
        );
        registry.register(
            "sentinal_pool_claims",
            "Creates that a pool could serve: hit, miss (none was ready) or lost (it did not answer any more)",
            figures.claims.clone(),
        );
        registry.register(
            "sentinal_pool_claim_seconds",
            "From a create to a pooled sandbox that is durably its own, in seconds",
            figures.claim_seconds.clone(),
        );
        figures
    }
}

impl Metrics {
    /// The pools of an engine stand so.
    pub fn pools_stand(&self, engine: EngineName, counts: PoolCounts) {
        for (state, count) in [("wanted", counts.wanted), ("ready", counts.ready), ("booting", counts.booting)] {
            let labels = SandboxLabels { engine: engine.as_str(), state };
            self.0.pool.sandboxes.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// A create that a pool could serve was, or was not.
    pub fn pool_asked(&self, engine: EngineName, claim: Claim) {
        let labels = ClaimLabels { engine: engine.as_str(), result: claim.as_str() };
        self.0.pool.claims.get_or_create(&labels).inc();
    }

    /// A pooled sandbox has become somebody's, this long after it was asked for.
    pub fn pool_claimed(&self, engine: EngineName, took: Duration) {
        let labels = EngineLabels { engine: engine.as_str() };
        self.0.pool.claim_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }
}
