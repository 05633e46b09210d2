//! What nobody reads costs nothing. One test in a process of its own: logging is started once per process.

use sentinal_telemetry::{LogFormat, init_logging};

#[test]
fn spans_and_events_that_nobody_wants_are_not_made() {
    init_logging(LogFormat::Text, "info", None).unwrap();
    assert!(tracing::trace_span!("of a library").is_disabled());
    assert!(!tracing::enabled!(tracing::Level::TRACE));
    assert!(tracing::enabled!(tracing::Level::INFO));
}
