//! Spans of every step of the flow, and where they go: over OTLP to a collector that the operator names.
//!
//! Without one nothing is made: [`step!`](crate::step) is then a flag that is looked at. With one, spans wait in a queue
//! that drops what does not fit; no request waits for it. A step that goes on in another task takes the [`Origin`] of
//! the one that asked for it along.

mod late;

use std::{collections::HashMap, time::Duration};

use opentelemetry::{
    Context,
    propagation::TextMapPropagator as _,
    trace::{SpanContext, TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use self::late::Late;
use crate::Metrics;

/// What spans of steps are called by, so that logs leave them alone.
pub(crate) const TARGET: &str = "sentinal_step";

/// The span that log lines show, too.
const REQUEST: &str = "gateway.request";

/// How long the collector may take to accept spans.
const EXPORT_DEADLINE: Duration = Duration::from_secs(5);

/// A span of one step of the flow: its name, then its fields. It is below the span that is entered; with
/// `origin: &origin` it is below what asked for it in another task, and does not keep that open. Every one can be told
/// how it went: [`step_went`](crate::step_went).
#[macro_export]
macro_rules! step {
    (origin: $origin:expr, $name:literal $(, $($fields:tt)*)?) => {{
        let span = $crate::tracing::info_span!(target: "sentinal_step", parent: None, $name, otel.status_code = $crate::tracing::field::Empty, otel.status_message = $crate::tracing::field::Empty $(, $($fields)*)?);
        $crate::Origin::asked($origin, &span);
        span
    }};
    ($name:literal $(, $($fields:tt)*)?) => {
        $crate::tracing::info_span!(target: "sentinal_step", $name, otel.status_code = $crate::tracing::field::Empty, otel.status_message = $crate::tracing::field::Empty $(, $($fields)*)?)
    };
}

/// Says whether a step succeeded, and why it did not.
pub fn step_went<T>(span: &Span, result: &sentinal_model::Result<T>) {
    match result {
        Ok(_) => drop(span.record("otel.status_code", "OK")),
        Err(error) => {
            span.record("otel.status_code", "ERROR").record("otel.status_message", error.message());
        }
    }
}

/// Who asked for something that goes on in another task.
#[derive(Debug, Clone, Default)]
pub struct Origin(Option<SpanContext>);

impl Origin {
    /// The step that is under way here.
    pub fn here() -> Self {
        Self::of(&Span::current())
    }

    /// A step.
    pub fn of(span: &Span) -> Self {
        if span.is_disabled() {
            return Self::default();
        }
        Self(Some(span.context().span().span_context().clone()).filter(SpanContext::is_valid))
    }

    /// What a caller says in the header `traceparent` of W3C Trace Context; nothing if that is malformed.
    pub fn of_caller(traceparent: &str) -> Self {
        let headers = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
        Self(Some(context.span().span_context().clone()).filter(SpanContext::is_valid))
    }

    /// Puts a span that has not begun below it.
    pub fn asked(&self, span: &Span) {
        if let Some(context) = &self.0 {
            // Fails where nobody collects spans.
            let _ = span.set_parent(Context::new().with_remote_span_context(context.clone()));
        }
    }

    /// The id of its trace, as hexadecimal digits.
    pub fn trace_id(&self) -> Option<String> {
        self.0.as_ref().map(|context| context.trace_id().to_string())
    }
}

/// Where spans go.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceOptions {
    /// An OTLP collector that speaks gRPC, as `http://HOST:PORT` or `https://HOST:PORT`.
    pub endpoint: String,
    /// Which share of requests is traced whose caller has not decided, 0 to 1.
    pub sample: f64,
}

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("spans cannot be sent to {endpoint}")]
pub struct TraceError {
    endpoint: String,
    source: ExporterBuildError,
}

/// Spans of this process on their way to a collector.
#[derive(Debug, Clone)]
pub struct Traces {
    options: TraceOptions,
    provider: SdkTracerProvider,
    late: Late,
}

impl Traces {
    /// Spans are made from now on, and kept from [`Traces::send`] on.
    pub(crate) fn new(options: TraceOptions) -> Self {
        let late = Late::default();
        let resource = Resource::builder().with_service_name("sentinal").with_attribute(version()).build();
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(options.sample))))
            .with_resource(resource)
            .with_span_processor(late.clone())
            .build();
        Self { options, provider, late }
    }

    pub(crate) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("sentinal")
    }

    /// Begins to send. Needs the runtime, and starts a thread: so it comes after the process has become who it stays.
    pub fn send(&self, metrics: &Metrics) -> Result<(), TraceError> {
        let endpoint = &self.options.endpoint;
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_DEADLINE);
        let failed = |source| TraceError { endpoint: endpoint.clone(), source };
        self.late.begin(exporter.build().map_err(failed)?, metrics.clone());
        Ok(())
    }

    /// Sends what is left, within `deadline`, and ends.
    pub async fn finish(self, deadline: Duration) {
        let finished = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(deadline));
        match tokio::time::timeout(deadline, finished).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "last spans not sent"),
            Ok(Err(_)) | Err(_) => tracing::warn!("last spans not sent in time"),
        }
    }
}

/// Spans of steps, and that of the request.
pub(crate) fn is_step(metadata: &tracing::Metadata<'_>) -> bool {
    metadata.is_span() && (metadata.target() == TARGET || metadata.name() == REQUEST)
}

fn version() -> opentelemetry::KeyValue {
    opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(traceparent: &str, trace_id: Option<&str>) {
        assert_eq!(Origin::of_caller(traceparent).trace_id().as_deref(), trace_id, "{traceparent}");
    }

    #[test]
    fn a_callers_trace_is_taken_over_and_nonsense_is_not() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        check(&format!("00-{id}-00f067aa0ba902b7-01"), Some(id));
        for malformed in [
            "",
            "00",
            id,
            &format!("00-{id}-00f067aa0ba902b7"),
            &format!("ff-{id}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            &format!("00-{id}-0000000000000000-01"),
            &format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            &"0".repeat(100_000),
        ] {
            check(malformed, None);
        }
    }

    #[test]
    fn without_a_collector_a_step_is_nothing() {
        let span = step!("engine.boot", sandbox = "sbx_1");
        assert!(span.is_disabled());
        assert_eq!(Origin::of(&span).trace_id(), None);
    }
}
