//! `sentinal config show`: every setting as it is for a server, and where its value comes from.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{ArgMatches, Command, CommandFactory as _, parser::ValueSource};

use super::{
    SETTINGS, apply,
    file::{File, Given},
    kind::Kind,
    print, problem,
    settings::{POOL_OPTION, Setting, find},
};
use crate::cli::Cli;

pub(super) fn show(named: Option<PathBuf>) -> Result<ExitCode> {
    let root = Cli::command();
    let given = match File::find(named).map_err(|problem| problem::all(&[problem]))? {
        Some(file) => file.settings(&root).map_err(|problems| problem::all(&problems))?,
        None => Vec::new(),
    };
    let matches = apply::defaults(Cli::command(), &given).try_get_matches_from(["sentinal", "serve"])?;
    let Some(("serve", serve)) = matches.subcommand() else { return Ok(ExitCode::FAILURE) };
    print(&Shown { root: &root, given: &given, serve }.text());
    Ok(ExitCode::SUCCESS)
}

struct Shown<'a> {
    root: &'a Command,
    given: &'a [Given],
    serve: &'a ArgMatches,
}

impl Shown<'_> {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for setting in SETTINGS.iter().filter(|setting| self.serve.try_contains_id(setting.option).is_ok()) {
            if setting.section() != section {
                section = setting.section();
                let _ = writeln!(text, "{}[{section}]", if text.is_empty() { "" } else { "\n" });
            }
            let _ = writeln!(text, "{}", self.line(setting));
        }
        for pool in self.raw(POOL_OPTION) {
            let _ = write!(text, "\n[[pool]] # {}\n", self.source(POOL_OPTION));
            for (name, value) in pool.split(',').filter_map(|field| field.split_once('=')) {
                let is_text = value.parse::<f64>().is_err();
                let value = if is_text { format!("{value:?}") } else { value.to_owned() };
                let _ = writeln!(text, "{name} = {value}");
            }
        }
        text
    }

    fn line(&self, setting: &Setting) -> String {
        let values = self.raw(setting.option);
        let kind = setting.arg(self.root).map_or(Kind::Text, Kind::of);
        if values.is_empty() {
            return format!("# {} is not set", setting.name());
        }
        format!("{} = {} # {}", setting.name(), kind.write(&values), self.source(setting.option))
    }

    fn raw(&self, option: &str) -> Vec<String> {
        let raw = self.serve.try_get_raw(option).ok().flatten();
        raw.into_iter().flatten().map(|value| value.to_string_lossy().into_owned()).collect()
    }

    fn source(&self, option: &str) -> String {
        let environment = find(self.root, option).and_then(|arg| arg.get_env()).map(|name| name.to_string_lossy());
        match (self.serve.value_source(option), self.given.iter().find(|given| given.option == option)) {
            (Some(ValueSource::EnvVariable), _) => environment.unwrap_or_default().into_owned(),
            (_, Some(given)) => given.at.clone(),
            (_, None) => "default".to_owned(),
        }
    }
}
