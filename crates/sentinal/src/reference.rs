//! The reference of all commands in docs/cli.md is what the commands say of themselves.
//! `UPDATE_GENERATED=1 cargo test -p sentinal reference` writes it anew.

use std::{fmt::Write as _, fs, path::Path};

use clap::{Arg, Command, CommandFactory as _};

use crate::cli::Cli;

const BEGIN: &str = "<!-- reference: UPDATE_GENERATED=1 cargo test -p sentinal reference -->\n";
const END: &str = "<!-- end of reference -->";
/// As wide as a page.
const WIDTH: usize = 110;

#[test]
fn the_reference_is_what_the_commands_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let fresh = format!("{before}{BEGIN}\n{}{END}{after}", reference());
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), fresh, "docs/cli.md is stale");
}

fn reference() -> String {
    let mut root = Cli::command().term_width(WIDTH);
    root.build();
    let mut text = String::new();
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        write(&mut text, command);
    }
    text
}

/// A command, and those below it.
fn write(text: &mut String, command: &Command) {
    let mut shown = command.clone().term_width(WIDTH).disable_help_flag(true).mut_args(neutral);
    if command.has_subcommands() {
        shown = shown.disable_help_subcommand(true);
    }
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let help = shown.render_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    writeln!(text, "### {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()).unwrap();
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        write(text, below);
    }
}

/// The same on every machine; and without what all commands share, which the page says once.
fn neutral(arg: Arg) -> Arg {
    let is_shared = arg.get_help_heading() == Some("Server");
    arg.hide_env_values(true).hide(is_shared)
}
