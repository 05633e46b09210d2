//! Where the process's log goes: standard error, one line per event.

use std::{io, str::FromStr};

use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt as _, ParseError, filter_fn},
    layer::SubscriberExt as _,
    util::{SubscriberInitExt as _, TryInitError},
};

use crate::{
    json::JsonLines,
    trace::{self, TraceOptions, Traces},
};

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for collectors.
    Json,
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// Not a format.
    #[error("log format {name:?} does not exist; known are text, json")]
    UnknownFormat {
        /// What was written.
        name: String,
    },
    /// Not a filter.
    #[error("log filter {filter:?} is not of the form level or target=level, separated by commas")]
    Filter {
        /// What was written.
        filter: String,
        /// Where it stops making sense.
        source: ParseError,
    },
    /// Something in this process logs already.
    #[error("logging was started before")]
    Started(#[source] TryInitError),
}

impl FromStr for LogFormat {
    type Err = LoggingError;

    fn from_str(name: &str) -> Result<Self, LoggingError> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LoggingError::UnknownFormat { name: name.chars().take(64).collect() }),
        }
    }
}

/// Sends events that pass `filter` (`info`, `info,sentinal_gateway=debug`, ...) to standard error, and makes spans if
/// somebody collects them. Once per process.
pub fn init_logging(
    format: LogFormat,
    filter: &str,
    trace: Option<TraceOptions>,
) -> Result<Option<Traces>, LoggingError> {
    let parsed =
        EnvFilter::try_new(filter).map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })?;
    let filter = parsed.and(filter_fn(|metadata| metadata.target() != trace::TARGET));
    let lines = match format {
        LogFormat::Text => {
            tracing_subscriber::fmt::layer().with_writer(Lines::default).with_ansi(is_terminal()).boxed()
        }
        LogFormat::Json => JsonLines::new(std::io::stderr).boxed(),
    };
    let traces = trace.map(Traces::new);
    let spans = traces.as_ref().map(|traces| {
        let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer());
        let plain = layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false);
        plain.with_level(false).with_context_activation(false).with_filter(filter_fn(trace::is_step))
    });
    // Layers that are there, and none that is not: an absent one would be asked as well, take interest in everything, and
    // have every span of every library made for nobody.
    let layers: Vec<_> = spans.into_iter().map(Layer::boxed).chain([lines.with_filter(filter).boxed()]).collect();
    tracing_subscriber::registry().with(layers).try_init().map(|()| traces).map_err(LoggingError::Started)
}

/// Longest line for people, in bytes; the rest is cut off.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Standard error, which is given one line with each write.
#[derive(Debug, Default)]
struct Lines;

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut out = io::stderr().lock();
        match line.get(..LINE_BYTES_MAX) {
            Some(first) if LINE_BYTES_MAX < line.len() => {
                [first, b"...\n"].into_iter().try_for_each(|part| out.write_all(part))?;
            }
            Some(_) | None => out.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Colours are for people, not for files.
fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_that_does_not_exist_is_told_the_ones_that_do() {
        assert_eq!("json".parse::<LogFormat>().unwrap(), LogFormat::Json);
        let error = "yaml".parse::<LogFormat>().unwrap_err().to_string();
        assert_eq!(error, "log format \"yaml\" does not exist; known are text, json");
    }

    #[test]
    fn a_malformed_filter_is_an_error() {
        assert!(matches!(init_logging(LogFormat::Text, "a=b=c", None), Err(LoggingError::Filter { .. })));
    }
}
