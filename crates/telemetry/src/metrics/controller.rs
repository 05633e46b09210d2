//! What the controller, the scheduler and the store record.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use sentinal_model::{End, EngineName, State};

use super::{Metrics, step_seconds};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SandboxLabels {
    state: &'static str,
    engine: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    engine: &'static str,
    end: &'static str,
}

pub(super) struct Figures {
    create_seconds: Histogram,
    destroy_seconds: Histogram,
    place_seconds: Histogram,
    commit_seconds: Histogram,
    committed_writes: Counter,
    sandboxes: Family<SandboxLabels, Gauge>,
    sandboxes_finished: Family<EndLabels, Counter>,
}

impl Figures {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let figures = Self {
            create_seconds: step_seconds(),
            destroy_seconds: step_seconds(),
            place_seconds: step_seconds(),
            commit_seconds: step_seconds(),
            committed_writes: Counter::default(),
            sandboxes: Family::default(),
            sandboxes_finished: Family::default(),
        };
        figures.register_steps(registry);
        registry.register(
            "sentinal_controller_sandboxes",
            "Sandboxes by state and engine; engine none before placing",
            figures.sandboxes.clone(),
        );
        registry.register(
            "sentinal_controller_sandboxes_finished",
            "Sandboxes that ended, and how: destroyed, expired, idle or what failed",
            figures.sandboxes_finished.clone(),
        );
        figures
    }

    fn register_steps(&self, registry: &mut Registry) {
        registry.register(
            "sentinal_controller_create_seconds",
            "From a create to a running sandbox, in seconds",
            self.create_seconds.clone(),
        );
        registry.register(
            "sentinal_controller_destroy_seconds",
            "From a destroy until nothing is left, in seconds",
            self.destroy_seconds.clone(),
        );
        registry.register(
            "sentinal_scheduler_place_seconds",
            "Choosing engine and node for one sandbox, in seconds",
            self.place_seconds.clone(),
        );
        registry.register(
            "sentinal_store_commit_seconds",
            "One transaction, from its begin until it is on the disk, in seconds",
            self.commit_seconds.clone(),
        );
        registry.register(
            "sentinal_store_committed_writes",
            "Writes in all transactions; per transaction this is how well commits are shared",
            self.committed_writes.clone(),
        );
    }
}

impl Metrics {
    /// A sandbox is running, this long after it was asked for.
    pub fn sandbox_created(&self, took: Duration) {
        self.0.controller.create_seconds.observe(took.as_secs_f64());
    }

    /// Nothing is left of a sandbox, this long after somebody asked.
    pub fn sandbox_destroyed(&self, took: Duration) {
        self.0.controller.destroy_seconds.observe(took.as_secs_f64());
    }

    /// The scheduler has answered.
    pub fn sandbox_placed(&self, took: Duration) {
        self.0.controller.place_seconds.observe(took.as_secs_f64());
    }

    /// The store has committed a transaction of so many writes.
    pub fn store_committed(&self, took: Duration, writes: usize) {
        self.0.controller.commit_seconds.observe(took.as_secs_f64());
        self.0.controller.committed_writes.inc_by(u64::try_from(writes).unwrap_or(u64::MAX));
    }

    /// One more sandbox is in this state.
    pub fn sandbox_entered(&self, state: State, engine: Option<EngineName>) {
        self.0.controller.sandboxes.get_or_create(&SandboxLabels::new(state, engine)).inc();
    }

    /// One sandbox fewer is in this state.
    pub fn sandbox_left(&self, state: State, engine: Option<EngineName>) {
        self.0.controller.sandboxes.get_or_create(&SandboxLabels::new(state, engine)).dec();
    }

    /// A sandbox has ended for good.
    pub fn sandbox_finished(&self, engine: Option<EngineName>, end: End) {
        let labels = EndLabels { engine: engine_label(engine), end: end.as_str() };
        self.0.controller.sandboxes_finished.get_or_create(&labels).inc();
    }
}

impl SandboxLabels {
    fn new(state: State, engine: Option<EngineName>) -> Self {
        Self { state: state.as_str(), engine: engine_label(engine) }
    }
}

fn engine_label(engine: Option<EngineName>) -> &'static str {
    engine.map_or("none", EngineName::as_str)
}
