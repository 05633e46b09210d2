//! What sandboxes use of the host, as the host has counted it, and what the host has.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use sentinal_model::EngineName;

use super::{Histograms, Metrics};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EngineLabels {
    engine: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AmountLabels {
    amount: &'static str,
}

pub(super) struct Figures {
    cpu_seconds: Family<EngineLabels, Counter<f64, AtomicU64>>,
    memory_bytes: Family<EngineLabels, Gauge>,
    disk_bytes: Family<EngineLabels, Gauge>,
    processes: Family<EngineLabels, Gauge>,
    memory_peak_bytes: Histograms<EngineLabels>,
    oom_kills: Family<EngineLabels, Counter>,
    node_memory_bytes: Family<AmountLabels, Gauge>,
    node_disk_bytes: Family<AmountLabels, Gauge>,
    node_cores: Gauge<f64, AtomicU64>,
    node_up: Gauge,
    engine_usable: Family<EngineLabels, Gauge>,
}

/// What all sandboxes of one engine use at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InUse {
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// What they have written to their disks, in bytes.
    pub disk_bytes: u64,
    /// Their processes.
    pub processes: u64,
}

/// What a node has, and how much of it nobody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeRoom {
    /// Cores, in thousandths.
    pub cpu_milli: u32,
    /// Memory in bytes: all, and what is available.
    pub memory_bytes: (u64, u64),
    /// Disk in bytes: all, and what is free.
    pub disk_bytes: (u64, u64),
}

impl Figures {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let figures = Self {
            cpu_seconds: Family::default(),
            memory_bytes: Family::default(),
            disk_bytes: Family::default(),
            processes: Family::default(),
            memory_peak_bytes: Histograms::new_with_constructor(memory_bytes),
            oom_kills: Family::default(),
            node_memory_bytes: Family::default(),
            node_disk_bytes: Family::default(),
            node_cores: Gauge::default(),
            node_up: Gauge::default(),
            engine_usable: Family::default(),
        };
        figures.register_sandboxes(registry);
        figures.register_node(registry);
        figures
    }

    fn register_sandboxes(&self, registry: &mut Registry) {
        registry.register(
            "sentinal_sandbox_cpu_seconds",
            "Processor time that sandboxes have used, as the host has counted it, in seconds",
            self.cpu_seconds.clone(),
        );
        registry.register(
            "sentinal_sandbox_memory_bytes",
            "Memory that sandboxes use, as the host counts it, in bytes",
            self.memory_bytes.clone(),
        );
        registry.register(
            "sentinal_sandbox_disk_bytes",
            "What sandboxes have written to their disks, in bytes",
            self.disk_bytes.clone(),
        );
        registry.register("sentinal_sandbox_processes", "Processes in sandboxes", self.processes.clone());
        registry.register(
            "sentinal_sandbox_memory_peak_bytes",
            "The most memory that a sandbox used at once, when it ended, in bytes",
            self.memory_peak_bytes.clone(),
        );
        registry.register(
            "sentinal_sandbox_oom_kills",
            "Processes that the kernel has killed because their sandbox's memory was full",
            self.oom_kills.clone(),
        );
    }

    fn register_node(&self, registry: &mut Registry) {
        registry.register(
            "sentinal_node_memory_bytes",
            "Memory of the node: total, and available, in bytes",
            self.node_memory_bytes.clone(),
        );
        registry.register(
            "sentinal_node_disk_bytes",
            "The disk of the node that holds what sandboxes write: total, and available, in bytes",
            self.node_disk_bytes.clone(),
        );
        registry.register("sentinal_node_cores", "Processor cores of the node", self.node_cores.clone());
        registry.register("sentinal_node_up", "Whether the node answers: 1 or 0", self.node_up.clone());
        registry.register(
            "sentinal_engine_usable",
            "Whether the engine answered its last probe: 1 or 0",
            self.engine_usable.clone(),
        );
    }
}

impl Metrics {
    /// Sandboxes of an engine have used more processor time, in microseconds.
    pub fn sandbox_cpu(&self, engine: EngineName, more_us: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        self.0.usage.cpu_seconds.get_or_create(&EngineLabels::new(engine)).inc_by(more_us as f64 / 1e6);
    }

    /// What all sandboxes of an engine use now.
    pub fn sandboxes_use(&self, engine: EngineName, now: InUse) {
        let (labels, usage) = (EngineLabels::new(engine), &self.0.usage);
        usage.memory_bytes.get_or_create(&labels).set(signed(now.memory_bytes));
        usage.disk_bytes.get_or_create(&labels).set(signed(now.disk_bytes));
        usage.processes.get_or_create(&labels).set(signed(now.processes));
    }

    /// A sandbox has ended: the most memory that it used, in bytes, and how many processes that cost.
    pub fn sandbox_ended(&self, engine: EngineName, memory_peak_bytes: u64, oom_kills: u64) {
        let (labels, usage) = (EngineLabels::new(engine), &self.0.usage);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        usage.memory_peak_bytes.get_or_create(&labels).observe(memory_peak_bytes as f64);
        usage.oom_kills.get_or_create(&labels).inc_by(oom_kills);
    }

    /// The node has said what it has.
    pub fn node_answers(&self, room: NodeRoom) {
        let usage = &self.0.usage;
        for (family, (total, available)) in
            [(&usage.node_memory_bytes, room.memory_bytes), (&usage.node_disk_bytes, room.disk_bytes)]
        {
            family.get_or_create(&AmountLabels { amount: "total" }).set(signed(total));
            family.get_or_create(&AmountLabels { amount: "available" }).set(signed(available));
        }
        usage.node_cores.set(f64::from(room.cpu_milli) / 1000.0);
        usage.node_up.set(1);
    }

    /// Everything that is counted for an engine stands at zero from the first moment: a rate sees the first failure.
    fn engine_exists(&self, engine: EngineName) {
        self.sandbox_cpu(engine, 0);
        drop(self.0.usage.oom_kills.get_or_create(&EngineLabels::new(engine)));
        self.0.engine.exists(engine);
        self.0.execution.exists(engine);
    }

    /// The node does not answer.
    pub fn node_is_silent(&self) {
        self.0.usage.node_up.set(0);
    }

    /// What the last probe of an engine found.
    pub fn engine_probed(&self, engine: EngineName, is_usable: bool) {
        self.engine_exists(engine);
        self.0.usage.engine_usable.get_or_create(&EngineLabels::new(engine)).set(i64::from(is_usable));
    }
}

/// 8 MiB to 64 GiB.
fn memory_bytes() -> Histogram {
    Histogram::new(exponential_buckets(8.0 * 1024.0 * 1024.0, 2.0, 14))
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

impl EngineLabels {
    const fn new(engine: EngineName) -> Self {
        Self { engine: engine.as_str() }
    }
}
