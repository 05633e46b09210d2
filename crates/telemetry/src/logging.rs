//! Where the process's log goes: standard error, one line per event.

use std::str::FromStr;

use tracing_subscriber::{EnvFilter, filter::ParseError, util::TryInitError};
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

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

/// Sends events that pass `filter` (`info`, `info,sentinal_gateway=debug`, ...) to standard error. Once per process.
pub fn init_logging(format: LogFormat, filter: &str) -> Result<(), LoggingError> {
    let parsed =
        EnvFilter::try_new(filter).map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })?;
    let registry = tracing_subscriber::registry().with(parsed);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => registry.with(lines.with_ansi(is_terminal())).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    }
    .map_err(LoggingError::Started)
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
        assert!(matches!(init_logging(LogFormat::Text, "a=b=c"), Err(LoggingError::Filter { .. })));
    }
}
