//! What is made of the settings: the tables of docs/configuration.md, and the example file.

use std::fmt::Write as _;

#[cfg(test)]
use clap::Command;
use clap::{Arg, CommandFactory as _};

use super::{
    SETTINGS,
    kind::Kind,
    settings::{POOL, POOL_KEYS, Setting},
};
use crate::cli::Cli;

/// How wide a line of the example is.
const WIDTH: usize = 100;

/// What each section is about.
const SECTIONS: &[(&str, &str)] = &[
    ("server", "Where the server is, and who it is."),
    ("gateway", "What callers may send, and what they are answered."),
    ("scheduler", "Which engines may be used, and how much a node may promise."),
    ("results", "What is kept, and for how long."),
    ("node", "The process that holds the sandboxes, and the programs it needs."),
    ("image", "Where images are, and where they may come from."),
    ("webhook", "Where events may be delivered to, and how often."),
    ("log", "The process's own log, on standard error."),
    ("trace", "Where spans of every step go."),
    (POOL, "Sandboxes that are kept booted; one table for each shape."),
];

/// A file with every key, commented out.
pub(super) fn example() -> String {
    let root = Cli::command();
    let mut text = String::from(
        "# What SENTINAL can be told, with its defaults. The command line comes first, then the environment, then this\n\
         # file. `sentinal config check FILE` says what is wrong with it.\n",
    );
    for (section, about) in SECTIONS.iter().filter(|(section, _)| *section != POOL) {
        let _ = write!(text, "\n# {about}\n[{section}]\n");
        for setting in of_section(section) {
            if let Some(arg) = setting.arg(&root) {
                write_example(&mut text, setting, arg);
            }
        }
    }
    let _ = write!(text, "\n# {}\n# [[{POOL}]]\n", about(POOL));
    for (name, words) in POOL_KEYS {
        let _ = writeln!(text, "# {name} = # {words}");
    }
    text
}

fn write_example(text: &mut String, setting: &Setting, arg: &Arg) {
    let range = setting.bounds.ends().map(|(min, max)| format!(" From {min} to {max}.")).unwrap_or_default();
    for line in wrapped(&format!("{}.{range}", described(arg).0)) {
        let _ = writeln!(text, "# {line}");
    }
    let default = default(arg).unwrap_or_else(|| Kind::of(arg).unset().to_owned());
    let _ = writeln!(text, "# {} = {default}", setting.name());
}

fn wrapped(words: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split_whitespace() {
        let line = lines.last_mut().filter(|line| line.len() + word.len() < WIDTH);
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => line.extend([" ", word]),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The tables of the reference.
#[cfg(test)]
pub(super) fn tables() -> String {
    let root = Cli::command();
    let mut text = String::new();
    for (section, about) in SECTIONS {
        let _ = write!(text, "### [{section}]\n\n{about}\n\n");
        if *section == POOL {
            text.push_str("| key | what it is |\n|---|---|\n");
            for (name, words) in POOL_KEYS {
                let _ = writeln!(text, "| `{name}` | {words} |");
            }
            continue;
        }
        text.push_str(
            "| key | kind | default | range | option and environment | what it is |\n|---|---|---|---|---|---|\n",
        );
        for setting in of_section(section) {
            let _ = writeln!(text, "{}", row(setting, &root));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
fn row(setting: &Setting, root: &Command) -> String {
    let Some(arg) = setting.arg(root) else { return String::new() };
    let (words, stated) = described(arg);
    let default = default(arg).map_or_else(|| stated.unwrap_or_default(), |default| format!("`{default}`"));
    let range = setting.bounds.ends().map(|(min, max)| format!("{min} to {max}")).unwrap_or_default();
    let option = format!("`--{}`", arg.get_long().unwrap_or_default());
    let environment = arg.get_env().map(|name| format!(", `{}`", name.to_string_lossy())).unwrap_or_default();
    let kind = Kind::of(arg).words();
    format!("| `{}` | {kind} | {default} | {range} | {option}{environment} | {words} |", setting.name())
}

fn of_section(section: &str) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| setting.section() == section)
}

fn about(section: &str) -> &'static str {
    SECTIONS.iter().find(|(name, _)| *name == section).map_or("", |(_, about)| about)
}

/// What the option says of itself, and the default that it states in words.
fn described(arg: &Arg) -> (String, Option<String>) {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    match help.split_once(" [default: ") {
        Some((words, default)) => (words.to_owned(), Some(default.trim_end_matches(']').to_owned())),
        None => (help, None),
    }
}

/// The default as a file would say it.
fn default(arg: &Arg) -> Option<String> {
    let values: Vec<String> = arg.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
    (!values.is_empty()).then(|| Kind::of(arg).write(&values))
}
