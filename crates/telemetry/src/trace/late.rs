//! A queue of spans that begins to be emptied later: the exporter needs a runtime and a thread of its own, and the
//! process has neither when logging begins.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor},
};

use crate::{Metrics, SpanFate};

/// Spans that wait to be sent; more are dropped.
const QUEUE_SPANS_MAX: usize = 8192;
/// Spans in one message.
const BATCH_SPANS_MAX: usize = 512;
/// How long a span waits for others.
const EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Default)]
pub(super) struct Late(Arc<State>);

#[derive(Debug, Default)]
struct State {
    resource: OnceLock<Resource>,
    begun: OnceLock<(BatchSpanProcessor, Metrics)>,
}

impl Late {
    /// Begins to send spans that end from now on.
    pub(super) fn begin(&self, exporter: impl SpanExporter + 'static, metrics: Metrics) {
        let mut exporter = Counted { exporter, metrics: metrics.clone() };
        if let Some(resource) = self.0.resource.get() {
            exporter.set_resource(resource);
        }
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS_MAX)
            .with_max_export_batch_size(BATCH_SPANS_MAX)
            .with_scheduled_delay(EVERY)
            .build();
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        // Begun twice, the second goes nowhere.
        let _ = self.0.begun.set((batches, metrics));
    }
}

impl SpanProcessor for Late {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if let Some((batches, metrics)) = self.0.begun.get() {
            metrics.spans(SpanFate::Made, 1);
            batches.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.begun.get().map_or(Ok(()), |(batches, _)| batches.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.begun.get().map_or(Ok(()), |(batches, _)| batches.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        let _ = self.0.resource.set(resource.clone());
    }
}

/// An exporter that says how it went.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    metrics: Metrics,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let sent = self.exporter.export(batch).await;
        self.metrics.spans(if sent.is_ok() { SpanFate::Sent } else { SpanFate::Refused }, count);
        if let Err(error) = &sent {
            tracing::debug!(%error, spans = count, "spans not sent");
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
