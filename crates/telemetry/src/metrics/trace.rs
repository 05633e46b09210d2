//! What becomes of the spans that are to go to a collector.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FateLabels {
    fate: &'static str,
}

/// What became of a span. What was made and is neither sent nor refused waits, or was dropped by a queue that was full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanFate {
    /// It ended and was to be sent.
    Made,
    /// The collector has it.
    Sent,
    /// The collector did not take it, or was not there.
    Refused,
}

impl SpanFate {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Sent => "sent",
            Self::Refused => "refused",
        }
    }
}

pub(super) struct Figures {
    spans: Family<FateLabels, Counter>,
}

impl Figures {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let figures = Self { spans: Family::default() };
        for fate in [SpanFate::Made, SpanFate::Sent, SpanFate::Refused] {
            drop(figures.spans.get_or_create(&FateLabels { fate: fate.as_str() }));
        }
        registry.register(
            "sentinal_trace_spans",
            "Spans: made, sent to the collector, or refused by it; the rest waits or was dropped by a full queue",
            figures.spans.clone(),
        );
        figures
    }
}

impl Metrics {
    /// So many spans have met this fate.
    pub fn spans(&self, fate: SpanFate, count: u64) {
        self.0.trace.spans.get_or_create(&FateLabels { fate: fate.as_str() }).inc_by(count);
    }
}
