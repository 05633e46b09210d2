//! What engines and agents take, as the controller sees it.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use sentinal_model::EngineName;

use super::{Histograms, Metrics, step_seconds};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EngineLabels {
    engine: &'static str,
}

pub(super) struct Figures {
    boot_seconds: Histograms<EngineLabels>,
    halt_seconds: Histograms<EngineLabels>,
    pause_seconds: Histograms<EngineLabels>,
    resume_seconds: Histograms<EngineLabels>,
    failures: Family<EngineLabels, Counter>,
    dial_seconds: Histogram,
}

impl Figures {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let figures = Self {
            boot_seconds: Histograms::new_with_constructor(step_seconds),
            halt_seconds: Histograms::new_with_constructor(step_seconds),
            pause_seconds: Histograms::new_with_constructor(step_seconds),
            resume_seconds: Histograms::new_with_constructor(step_seconds),
            failures: Family::default(),
            dial_seconds: step_seconds(),
        };
        registry.register(
            "sentinal_engine_boot_seconds",
            "Booting one instance, in seconds",
            figures.boot_seconds.clone(),
        );
        registry.register(
            "sentinal_engine_halt_seconds",
            "Halting one instance, in seconds",
            figures.halt_seconds.clone(),
        );
        registry.register(
            "sentinal_engine_pause_seconds",
            "Pausing one instance, in seconds",
            figures.pause_seconds.clone(),
        );
        registry.register(
            "sentinal_engine_resume_seconds",
            "Resuming one instance, in seconds",
            figures.resume_seconds.clone(),
        );
        registry.register(
            "sentinal_engine_failures",
            "Boots, halts, pauses and resumes that did not succeed, and instances lost",
            figures.failures.clone(),
        );
        registry.register(
            "sentinal_agent_dial_seconds",
            "From a booted instance to its agent's first word, in seconds",
            figures.dial_seconds.clone(),
        );
        figures
    }
}

impl Figures {
    /// An engine's figures stand at zero unless they stand higher.
    pub(super) fn exists(&self, engine: EngineName) {
        let labels = EngineLabels::new(engine);
        drop(self.failures.get_or_create(&labels));
        for histogram in [&self.boot_seconds, &self.halt_seconds] {
            drop(histogram.get_or_create(&labels));
        }
    }
}

impl Metrics {
    /// An instance is up.
    pub fn engine_booted(&self, engine: EngineName, took: Duration) {
        self.0.engine.boot_seconds.get_or_create(&EngineLabels::new(engine)).observe(took.as_secs_f64());
    }

    /// An instance is gone.
    pub fn engine_halted(&self, engine: EngineName, took: Duration) {
        self.0.engine.halt_seconds.get_or_create(&EngineLabels::new(engine)).observe(took.as_secs_f64());
    }

    /// Nothing in an instance goes on.
    pub fn engine_paused(&self, engine: EngineName, took: Duration) {
        self.0.engine.pause_seconds.get_or_create(&EngineLabels::new(engine)).observe(took.as_secs_f64());
    }

    /// An instance goes on.
    pub fn engine_resumed(&self, engine: EngineName, took: Duration) {
        self.0.engine.resume_seconds.get_or_create(&EngineLabels::new(engine)).observe(took.as_secs_f64());
    }

    /// A boot, a halt, a pause or a resume did not succeed, or an instance was lost.
    pub fn engine_failed(&self, engine: EngineName) {
        self.0.engine.failures.get_or_create(&EngineLabels::new(engine)).inc();
    }

    /// An agent has dialled, this long after its boot was asked for.
    pub fn agent_dialled(&self, took: Duration) {
        self.0.engine.dial_seconds.observe(took.as_secs_f64());
    }
}

impl EngineLabels {
    const fn new(engine: EngineName) -> Self {
        Self { engine: engine.as_str() }
    }
}
