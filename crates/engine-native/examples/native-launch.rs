//! [`sentinal_engine_native::launch`] as a program, for the tests of this crate. The product's own binary does the
//! same under a word of its own.

use std::{io::Write as _, process::ExitCode};

fn main() -> ExitCode {
    let Err(error) = sentinal_engine_native::launch(std::io::stdin()) else { return ExitCode::SUCCESS };
    // Not an error: the exit status says it, too.
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::from(125)
}
