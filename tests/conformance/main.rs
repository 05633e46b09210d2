//! The conformance suite: what a sandbox does, whatever engine it runs on. One table, run on every engine that this
//! machine has, from outside, through the public API. In every row the outcome is right, a neighbour is unharmed and
//! nothing is left on the host.
//!
//!     cargo test -p sentinal-tests --test conformance [-- WORD...]     only rows whose line has each WORD
//!
//! Where engines differ by design, [`sentinal_tests::Column`] says what each promises. Start at [`table`].

#![allow(
    clippy::format_collect,
    clippy::unnecessary_wraps,
    clippy::needless_for_each,
    clippy::too_many_arguments,
    reason = "rows of one table have one shape"
)]

mod archives;
mod bombs;
mod boot;
mod clock;
mod contexts;
mod disk;
mod enforcers;
mod execute;
mod files;
mod folders;
mod killed;
mod large;
mod moments;
mod names;
mod parts;
mod pause;
mod ports;
mod processes;
mod restarts;
mod runner;
mod scene;
mod streams;
mod table;
mod terminals;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    // More than cores: looking at the host and comparing large files keeps a thread from everything else.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build();
    let words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    runtime.map_or(ExitCode::FAILURE, |runtime| runtime.block_on(runner::run(words)))
}
