//! Messages into domain types and back. Inwards everything is checked: either side may be hostile, and
//! after this module nothing is a loose string or number any more.

mod answer;
mod image;
mod request;

use std::str::FromStr;

use sentinal_model::{Error, SandboxId};

/// Longest text of an answer that goes on to a caller.
const TEXT_CHARS_MAX: usize = 1024;

fn sandbox_id(text: &str) -> Result<SandboxId, Error> {
    parse("sandbox_id", text)
}

/// `text` as what it should be; an error names the field.
fn parse<T: FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|error| invalid(field, &error))
}

fn invalid(field: &str, error: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("{field}: {error}"))
}

/// Without control characters, and not too long for a log or an answer.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_CHARS_MAX).collect()
}
