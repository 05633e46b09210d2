//! What executions take, and what collecting their results takes.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use sentinal_model::{EngineName, ExecutionOutcome};

use super::{Histograms, Metrics, program_seconds, step_seconds};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    engine: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExecutionLabels {
    engine: &'static str,
    outcome: &'static str,
}

pub(super) struct Figures {
    seconds: Histograms<ExecutionLabels>,
    jobs: Family<JobLabels, Counter>,
    overhead_seconds: Histogram,
    running: Gauge,
    collect_seconds: Histogram,
    output_bytes: Counter,
}

impl Figures {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let figures = Self {
            seconds: Histograms::new_with_constructor(program_seconds),
            jobs: Family::default(),
            overhead_seconds: step_seconds(),
            running: Gauge::default(),
            collect_seconds: step_seconds(),
            output_bytes: Counter::default(),
        };
        registry.register("sentinal_execution_seconds", "How long programs ran, in seconds", figures.seconds.clone());
        registry.register(
            "sentinal_execution_jobs",
            "Executions that have ended: completed with exit code 0, or failed in any other way",
            figures.jobs.clone(),
        );
        registry.register(
            "sentinal_execution_overhead_seconds",
            "From an execute to its durable result, less the time the program ran, in seconds",
            figures.overhead_seconds.clone(),
        );
        registry.register("sentinal_execution_running", "Executions that run now", figures.running.clone());
        registry.register(
            "sentinal_results_collect_seconds",
            "From a program's end to its durable result, in seconds",
            figures.collect_seconds.clone(),
        );
        registry.register(
            "sentinal_results_output_bytes",
            "Bytes that programs wrote to their output",
            figures.output_bytes.clone(),
        );
        figures
    }
}

impl Figures {
    /// An engine's figures stand at zero unless they stand higher.
    pub(super) fn exists(&self, engine: EngineName) {
        for result in ["completed", "failed"] {
            drop(self.jobs.get_or_create(&JobLabels { engine: engine.as_str(), result }));
        }
    }
}

impl Metrics {
    /// One more program runs.
    pub fn execution_started(&self) {
        self.0.execution.running.inc();
    }

    /// A program has ended after running this long. Pairs with [`Metrics::execution_started`].
    pub fn execution_ended(&self, engine: EngineName, outcome: ExecutionOutcome, ran: Duration) {
        let labels = ExecutionLabels { engine: engine.as_str(), outcome: outcome.as_str() };
        self.0.execution.seconds.get_or_create(&labels).observe(ran.as_secs_f64());
        let result = if outcome == ExecutionOutcome::Exited(0) { "completed" } else { "failed" };
        self.0.execution.jobs.get_or_create(&JobLabels { engine: engine.as_str(), result }).inc();
        self.0.execution.running.dec();
    }

    /// What an execution took on top of its program's own time.
    pub fn execution_overhead(&self, took: Duration) {
        self.0.execution.overhead_seconds.observe(took.as_secs_f64());
    }

    /// A result is durable, this long after its program ended, with so much output.
    pub fn results_collected(&self, took: Duration, output_bytes: u64) {
        self.0.execution.collect_seconds.observe(took.as_secs_f64());
        self.0.execution.output_bytes.inc_by(output_bytes);
    }
}
