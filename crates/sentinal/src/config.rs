//! The configuration file: what the command line can say, kept in a file.
//!
//! Every setting is an option of a command first: its default, its description and what it accepts are the option's
//! own. [`SETTINGS`] gives each a key. What a file says takes the place of the options' defaults, so that the order is
//! always the same: the command line, then the environment, then the file, then the built-in default.

mod apply;
mod file;
mod kind;
mod page;
mod problem;
mod settings;
mod show;

use std::{ffi::OsString, path::Path, process::ExitCode};

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};

use crate::{
    cli::{Cli, Command, ConfigCommand},
    serve,
};
use file::File;
use problem::Problem;
use settings::SETTINGS;

/// Where the file is, unless told; it need not be there.
pub(crate) const DEFAULT_PLACE: &str = "/etc/sentinal/sentinal.toml";

/// Why the command line, or the file it names, cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// What the command line says makes no sense, or asks for help.
    CommandLine(clap::Error),
    /// The file does not make sense.
    File(Vec<Problem>),
}

/// Reads the command line, and the file that stands behind it.
pub(crate) fn command_line(arguments: Vec<OsString>) -> Result<Cli, Unusable> {
    let cli = Cli::try_parse_from(&arguments).map_err(Unusable::CommandLine)?;
    let Some(option) = cli.command.config() else { return Ok(cli) };
    let Some(file) = File::find(option.config.clone()).map_err(|problem| Unusable::File(vec![problem]))? else {
        return Ok(cli);
    };
    let given = file.settings(&Cli::command()).map_err(Unusable::File)?;
    let command = apply::defaults(Cli::command(), &given);
    let matches = command.try_get_matches_from(arguments).map_err(Unusable::CommandLine)?;
    Cli::from_arg_matches(&matches).map_err(Unusable::CommandLine)
}

/// `sentinal config`.
pub(crate) fn run(command: &ConfigCommand) -> Result<ExitCode> {
    match command {
        ConfigCommand::Check { file } => check(file),
        ConfigCommand::Show { file } => show::show(file.clone()),
        ConfigCommand::Example => {
            print(&page::example());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Whether a server would start with the file.
fn check(place: &Path) -> Result<ExitCode> {
    let arguments = vec!["sentinal".into(), "serve".into(), "--config".into(), place.into()];
    match command_line(arguments) {
        Ok(Cli { command: Command::Serve(options) }) => serve::check(&options)?,
        Ok(_) => {}
        Err(Unusable::CommandLine(error)) => return Err(error.into()),
        Err(Unusable::File(problems)) => return Err(problem::all(&problems)),
    }
    print(&format!("{}: nothing is wrong with it\n", place.display()));
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn print(text: &str) {
    print!("{text}");
}

#[cfg(test)]
mod tests;
