//! Logs, spans and metrics of every step of the flow.
//!
//! [`Metrics`] is a handle with one method per thing worth counting: callers pass types of the vocabulary,
//! never label strings, so what can become a time series is a closed set. [`init_logging`] sends the process's
//! log to standard error, and makes spans of every step ([`step!`]) where a collector wants them ([`Traces`]).
//!
//! Nothing here may hold up or fail the work it watches.

mod json;
mod limit;
mod logging;
mod metrics;
#[cfg(test)]
mod reference;
mod route;
mod trace;

pub use limit::Limit;
pub use logging::{LogFormat, LoggingError, init_logging};
pub use metrics::{Claim, InUse, Metrics, MetricsFormat, NodeRoom, PoolCounts, SpanFate};
pub use route::Route;
pub use trace::{Origin, TraceError, TraceOptions, Traces, step_went};
#[doc(hidden)]
pub use tracing;
