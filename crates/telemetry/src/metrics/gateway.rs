//! What the gateway records.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Histograms, Metrics, step_seconds};
use crate::{Limit, Route};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status_class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

pub(super) struct Figures {
    request_seconds: Histograms<RequestLabels>,
    connections: Gauge,
    limit_reached: Family<LimitLabels, Counter>,
    upload_bytes: Counter,
    download_bytes: Counter,
}

impl Figures {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let figures = Self {
            request_seconds: Histograms::new_with_constructor(step_seconds),
            connections: Gauge::default(),
            limit_reached: Family::default(),
            upload_bytes: Counter::default(),
            download_bytes: Counter::default(),
        };
        for limit in Limit::ALL {
            drop(figures.limit_reached.get_or_create(&LimitLabels { limit: limit.as_str() }));
        }
        registry.register(
            "sentinal_gateway_request_seconds",
            "From a request's head to the head of its answer, in seconds",
            figures.request_seconds.clone(),
        );
        registry.register("sentinal_gateway_connections", "Open client connections", figures.connections.clone());
        registry.register(
            "sentinal_gateway_limit_reached",
            "How often a limit was reached",
            figures.limit_reached.clone(),
        );
        registry.register(
            "sentinal_gateway_upload_bytes",
            "Bytes of files put into sandboxes",
            figures.upload_bytes.clone(),
        );
        registry.register(
            "sentinal_gateway_download_bytes",
            "Bytes of files got out of sandboxes",
            figures.download_bytes.clone(),
        );
        figures
    }
}

impl Metrics {
    /// A request was answered: `method` as it was sent, `status` as a number.
    pub fn request(&self, route: Route, method: &str, status: u16, took: Duration) {
        let labels =
            RequestLabels { route: route.template(), method: method_label(method), status_class: status_class(status) };
        self.0.gateway.request_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A client connected.
    pub fn connection_opened(&self) {
        self.0.gateway.connections.inc();
    }

    /// A client's connection ended.
    pub fn connection_closed(&self) {
        self.0.gateway.connections.dec();
    }

    /// A limit was reached, wherever in the flow.
    pub fn limit_reached(&self, limit: Limit) {
        self.0.gateway.limit_reached.get_or_create(&LimitLabels { limit: limit.as_str() }).inc();
    }

    /// Bytes of a file went into a sandbox.
    pub fn uploaded(&self, bytes: u64) {
        self.0.gateway.upload_bytes.inc_by(bytes);
    }

    /// Bytes of a file came out of a sandbox.
    pub fn downloaded(&self, bytes: u64) {
        self.0.gateway.download_bytes.inc_by(bytes);
    }
}

/// Clients may send any method; the label may not be anything.
fn method_label(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}

const fn status_class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
