//! The command line's side of SENTINAL: the commands that speak to a server.
//!
//! It is a caller like any other: it knows the public API and nothing else of the server. What comes from a sandbox
//! is hostile: a program's output passes as it is, as it does in any terminal, everything else is cleaned before it is
//! printed, and no archive leads out of the folder it is unpacked into.
//!
//! Start at [`Command`].

mod client;
mod command;
mod context;
mod copy;
mod duration;
mod engine;
mod exec;
mod execute;
mod failure;
mod files;
mod forward;
mod image;
mod key;
mod log;
mod name;
mod page;
mod process;
mod report;
mod run;
mod sandbox;
mod screen;
mod server;
mod session;
mod show;
mod size;
mod terminal;
mod top;
mod usage;
mod webhook;

use std::process::ExitCode;

use anyhow::{Context as _, Result};

pub use command::Command;
pub use duration::parse_seconds;
pub use image::ImageCommand;
pub use report::ServerReport;
pub use server::ServerOptions;

use failure::{Failure, NobodyReads};

/// Exit status for a command line that makes no sense (`EX_USAGE` of sysexits.h).
pub const USAGE: u8 = 64;
/// Exit status of `run` and `exec` for failures of their own: any other is the program's.
pub const OWN_FAILURE: u8 = 125;
/// As a shell sees a program that SIGPIPE has ended.
const BROKEN_PIPE: u8 = 128 + 13;

/// Runs a command and tells what failed.
pub fn run(command: Command) -> ExitCode {
    let is_transparent = command.is_transparent();
    ended(block_on(command.run()), is_transparent)
}

/// The same for what is done with images.
pub fn run_image(command: ImageCommand) -> ExitCode {
    ended(block_on(command.run()), false)
}

fn ended(outcome: Result<u8>, is_transparent: bool) -> ExitCode {
    ExitCode::from(outcome.unwrap_or_else(|error| {
        if error.is::<NobodyReads>() {
            return BROKEN_PIPE;
        }
        report(&error);
        match failure::of(&error) {
            _ if is_transparent => OWN_FAILURE,
            Some(Failure::Usage(_)) => USAGE,
            _ => 1,
        }
    }))
}

fn block_on(command: impl Future<Output = Result<u8>>) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let outcome = runtime.block_on(command);
    // A thread may wait for input that nobody will give any more.
    runtime.shutdown_background();
    outcome
}

fn report(error: &anyhow::Error) {
    show::note(&format!("{error:#}"));
    if let Some(advice) = failure::of(error).and_then(Failure::advice) {
        show::note(&advice);
    }
}
