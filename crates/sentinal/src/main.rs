//! The `sentinal` binary: server, node and command line.
//!
//! `main` only picks the command. [`serve`] tells how the server starts, [`node`] how the privileged process
//! does, [`image`] builds the default image, [`doctor`] tells what the host can,
//! [`config`] where settings come from. What speaks to a server is in
//! `sentinal-cli`.

mod amount;
mod banner;
mod cli;
mod completion;
mod config;
mod doctor;
mod image;
mod images;
mod node;
mod open_files;
mod privilege;
#[cfg(test)]
mod reference;
mod serve;
mod user;
mod webhooks;

use std::process::ExitCode;

use crate::{
    cli::{Cli, Command},
    config::Unusable,
};

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
    let command = match config::command_line(std::env::args_os().collect()) {
        Ok(Cli { command }) => command,
        Err(Unusable::CommandLine(error)) => return misread(&error),
        Err(Unusable::File(problems)) => {
            for problem in &problems {
                say(&format!("sentinal: {problem}"));
            }
            return ExitCode::from(EX_CONFIG);
        }
    };
    let outcome = match command {
        Command::Client(command) => return sentinal_cli::run(command),
        Command::Serve(options) => serve::run(&options),
        Command::Node(options) => node::run(&options),
        Command::Image(options) => image::run(options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Config(command) => config::run(&command),
        Command::Completion { shell } => completion::print(shell),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::from(EX_CONFIG)
        }
    }
}

/// Help and version are no failure. In `run` and `exec` every other status is the program's.
fn misread(error: &clap::Error) -> ExitCode {
    // Nobody may be there to read it.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let is_transparent = matches!(std::env::args().nth(1).as_deref(), Some("run" | "exec" | "attach"));
    ExitCode::from(if is_transparent { sentinal_cli::OWN_FAILURE } else { sentinal_cli::USAGE })
}

fn report(error: &anyhow::Error) {
    say(&format!("sentinal: {error:#}"));
}

#[expect(clippy::print_stderr, reason = "the last words of a command, whether or not logging has begun")]
fn say(words: &str) {
    eprintln!("{words}");
}
