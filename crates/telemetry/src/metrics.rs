//! The figures of every step, in flow order: gateway, controller, scheduler, engine, agent, results.

mod controller;
mod engine;
mod execution;
mod gateway;
mod image;
mod pool;
mod text;
mod trace;
mod usage;
mod webhook;

pub use pool::{Claim, PoolCounts};
pub use text::MetricsFormat;
pub use trace::SpanFate;
pub use usage::{InUse, NodeRoom};

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use prometheus_client::{
    metrics::{
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// The server's figures. Cheap to clone; every method returns at once.
#[derive(Clone)]
pub struct Metrics(Arc<Figures>);

struct Figures {
    registry: Registry,
    gateway: gateway::Figures,
    controller: controller::Figures,
    engine: engine::Figures,
    execution: execution::Figures,
    image: image::Figures,
    pool: pool::Figures,
    webhook: webhook::Figures,
    trace: trace::Figures,
    usage: usage::Figures,
    /// Somebody has looked since the last time that this was asked.
    was_read: AtomicBool,
}

impl Metrics {
    /// Figures that all stand at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        Self(Arc::new(Figures {
            gateway: gateway::Figures::register(&mut registry),
            controller: controller::Figures::register(&mut registry),
            engine: engine::Figures::register(&mut registry),
            execution: execution::Figures::register(&mut registry),
            image: image::Figures::register(&mut registry),
            pool: pool::Figures::register(&mut registry),
            webhook: webhook::Figures::register(&mut registry),
            trace: trace::Figures::register(&mut registry),
            usage: usage::Figures::register(&mut registry),
            was_read: AtomicBool::new(false),
            registry,
        }))
    }

    /// All figures, as Prometheus reads them.
    pub fn render(&self, format: MetricsFormat) -> String {
        self.0.was_read.store(true, Ordering::Relaxed);
        let mut text = String::with_capacity(16 * 1024);
        // A `String` takes everything: the only error is the writer's.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.0.registry);
        match format {
            MetricsFormat::OpenMetrics => text,
            MetricsFormat::Prometheus => text::older(&text),
        }
    }

    /// Whether somebody has looked at the figures since this was last asked: what costs something to measure is measured
    /// for nobody else.
    pub fn were_read(&self) -> bool {
        self.0.was_read.swap(false, Ordering::Relaxed)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// Histograms of one name.
type Histograms<Labels> = Family<Labels, Histogram, fn() -> Histogram>;

/// Half a millisecond to a minute: the server's own steps.
fn step_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 18))
}

/// A millisecond to two hours: what programs take.
fn program_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 23))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sentinal_model::{DeliveryResult, EngineName, ExecutionOutcome, State};

    use super::*;
    use crate::{Limit, Route};

    fn check(record: impl FnOnce(&Metrics), line: &str) {
        let metrics = Metrics::new();
        record(&metrics);
        let text = metrics.render(MetricsFormat::OpenMetrics);
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }

    #[test]
    fn what_was_recorded_is_rendered_with_its_labels() {
        check(
            |m| m.request(Route::Sandbox, "GET", 200, Duration::from_millis(3)),
            "sentinal_gateway_request_seconds_count{route=\"/api/v1/sandbox/{id}\",method=\"GET\",status_class=\"2xx\"} 1",
        );
        check(|m| m.images_removed(2, 70), "sentinal_images_removed_bytes_total 70");
        check(
            |m| m.engine_booted(EngineName::Gvisor, Duration::from_millis(120)),
            "sentinal_engine_boot_seconds_count{engine=\"gvisor\"} 1",
        );
        check(|m| m.limit_reached(Limit::JsonBody), "sentinal_gateway_limit_reached_total{limit=\"json_body\"} 1");
        check(
            |m| m.sandbox_entered(State::Running, Some(EngineName::Gvisor)),
            "sentinal_controller_sandboxes{state=\"running\",engine=\"gvisor\"} 1",
        );
        check(
            |m| m.pools_stand(EngineName::Gvisor, PoolCounts { wanted: 8, ready: 5, booting: 1 }),
            "sentinal_pool_sandboxes{engine=\"gvisor\",state=\"ready\"} 5",
        );
        check(
            |m| m.pool_asked(EngineName::Gvisor, Claim::Miss),
            "sentinal_pool_claims_total{engine=\"gvisor\",result=\"miss\"} 1",
        );
        check(
            |m| m.pool_claimed(EngineName::Native, Duration::from_millis(2)),
            "sentinal_pool_claim_seconds_count{engine=\"native\"} 1",
        );
        check(
            |m| m.webhook_attempted(DeliveryResult::GivenUp, Duration::ZERO),
            "sentinal_webhook_attempts_total{result=\"given_up\"} 1",
        );
        check(
            |m| m.execution_ended(EngineName::Native, ExecutionOutcome::Exited(7), Duration::from_secs(1)),
            "sentinal_execution_seconds_count{engine=\"native\",outcome=\"exited\"} 1",
        );
    }

    #[test]
    fn a_method_nobody_knows_makes_no_time_series_of_its_own() {
        check(
            |m| m.request(Route::Unknown, "EVIL-1234", 404, Duration::ZERO),
            "sentinal_gateway_request_seconds_count{route=\"unknown\",method=\"other\",status_class=\"4xx\"} 1",
        );
    }
}
