//! The `sentinal` binary: server, node and command line.
//!
//! `main` only picks the command. [`serve`] tells how the server starts, [`node`] how the privileged process
//! does, [`image`] builds the default image, [`doctor`] tells what the host can.

mod cli;
mod doctor;
mod image;
mod images;
mod node;
mod open_files;
mod privilege;
mod serve;
mod user;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// Exit status for a configuration that cannot work (`EX_CONFIG` of sysexits.h).
const EX_CONFIG: u8 = 78;

/// Exit status of an engine's starter or launcher that could not do what it is for.
const CANNOT_START: u8 = 125;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == images::WORKER) {
        return sentinal_import::work(std::env::args_os().skip(2));
    }
    match node::work_for_engine(std::env::args_os()) {
        None => {}
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) => {
            say(&format!("{error:#}"));
            return ExitCode::from(CANNOT_START);
        }
    }
    let outcome = match Cli::parse().command {
        Command::Serve(options) => serve::run(&options),
        Command::Node(options) => node::run(&options),
        Command::Image(options) => image::run(&options),
        Command::Doctor(options) => doctor::run(&options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::from(EX_CONFIG)
        }
    }
}

fn report(error: &anyhow::Error) {
    say(&format!("sentinal: {error:#}"));
}

#[expect(clippy::print_stderr, reason = "the last words of a command, whether or not logging has begun")]
fn say(words: &str) {
    eprintln!("{words}");
}
