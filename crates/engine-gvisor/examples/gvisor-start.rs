//! [`sentinal_engine_gvisor::starter`] as a program, for the tests of this crate. The product's own binary
//! does the same under a word of its own.

use std::{io::Write as _, process::ExitCode};

fn main() -> ExitCode {
    let error = sentinal_engine_gvisor::starter::start(std::env::args_os().skip(1));
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    // Not an error: the exit status says it, too.
    let _ = writeln!(std::io::stderr(), "{error}: {cause}");
    ExitCode::from(125)
}
