//! What people and programs read: tables, JSON, plain lines.

mod amount;
mod fields;
mod table;
mod text;

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Result;
use serde_json::Value;

pub(crate) use amount::{age, bytes, seconds_left};
pub(crate) use fields::fields;
pub(crate) use table::{Table, terminal_size};
pub(crate) use text::clean;

use crate::failure::NobodyReads;

/// A line on standard output.
pub(crate) fn line(text: &str) -> Result<()> {
    raw(format!("{text}\n").as_bytes())
}

/// A line on standard error that was asked for.
pub(crate) fn error_line(text: &str) -> Result<()> {
    heard(writeln!(io::stderr(), "{text}"))
}

/// Bytes on standard output, as they are.
fn raw(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    heard(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// A remark on standard error; that nobody hears it is no reason to stop.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "sentinal: {text}");
}

/// One document on standard output: to be read on a terminal, one line elsewhere.
pub(crate) fn json(value: &Value) -> Result<()> {
    if io::stdout().is_terminal() { line(&serde_json::to_string_pretty(value)?) } else { json_line(value) }
}

/// One document on one line, for what goes on.
pub(crate) fn json_line(value: &Value) -> Result<()> {
    line(&value.to_string())
}

/// Turns a pipe that nobody reads into the one failure that is not told.
fn heard(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(NobodyReads.into()),
        other => Ok(other?),
    }
}
