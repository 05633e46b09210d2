//! Logs and metrics of every step of the flow.
//!
//! [`Metrics`] is a handle with one method per thing worth counting: callers pass types of the vocabulary,
//! never label strings, so what can become a time series is a closed set. [`init_logging`] sends the process's
//! log to standard error.
//!
//! Nothing here may hold up or fail the work it watches.

mod limit;
mod logging;
mod metrics;
mod route;

pub use limit::Limit;
pub use logging::{LogFormat, LoggingError, init_logging};
pub use metrics::{Claim, Metrics, PoolCounts};
pub use route::Route;
