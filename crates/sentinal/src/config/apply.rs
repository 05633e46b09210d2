//! What a file says, put in the place of the options' defaults.

use std::error::Error as _;

use clap::{Arg, Command, builder::Resettable};

use super::file::Given;

/// The commands with what was given in the place of their own defaults.
pub(super) fn defaults(command: Command, given: &[Given]) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let command =
        names.into_iter().fold(command, |command, name| command.mut_subcommand(name, |below| defaults(below, given)));
    let has = |command: &Command, id: &str| command.get_arguments().any(|arg| arg.get_id() == id);
    if !has(&command, "config") {
        return command;
    }
    given.iter().fold(command, |command, one| {
        if !has(&command, one.option) || one.values.is_empty() {
            return command;
        }
        command.mut_arg(one.option, |arg| arg.default_values(one.values.clone()))
    })
}

/// Why an option does not take a value; `None` if it does.
pub(super) fn refusal(arg: &Arg, value: &str) -> Option<String> {
    let alone = Command::new("value").no_binary_name(true).arg(arg.clone().env(Resettable::Reset));
    let long = arg.get_long().unwrap_or_default();
    let error = alone.try_get_matches_from([format!("--{long}={value}")]).err()?;
    let why = error.source().map_or_else(|| "is not possible".to_owned(), ToString::to_string);
    Some(format!("{value:?}: {why}"))
}
