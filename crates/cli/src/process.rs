//! How a program is to run, for every command that runs one.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use sentinal_api::Execute;

use crate::{duration::parse_seconds, execute::Stdin, failure::Failure};

/// How a program is to run.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Program")]
pub(crate) struct ProcessOptions {
    /// How long it may run, such as 90s or 1h, at most a day [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    pub(crate) timeout: Option<f64>,
    /// A variable of its environment; NAME alone takes the value from here
    #[arg(long = "env", short, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// A file of variables, one NAME=VALUE a line; lines that begin with # are left out
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// The folder it starts in [default: the user's home]
    #[arg(long, short = 'w', value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// As whom: a name or a number of the sandbox [default: the ordinary user]
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,
    /// Pass standard input on even where it is a terminal
    #[arg(long, short)]
    interactive: bool,
    /// Run it on a terminal, and make this one its screen and keyboard; ctrl-p ctrl-q leaves it running. Without
    /// --timeout it may run for a day
    #[arg(long, short)]
    pub(crate) tty: bool,
    /// Do not pass standard input on
    #[arg(long, short, conflicts_with_all = ["interactive", "tty"])]
    no_stdin: bool,
}

impl ProcessOptions {
    /// Where standard input comes from.
    pub(crate) fn stdin(&self) -> Stdin {
        Stdin::choose(self.interactive, self.no_stdin)
    }

    /// The request that runs this program and arguments.
    pub(crate) fn request(&self, sandbox: &str, mut argv: Vec<String>) -> Result<Execute> {
        let args = argv.split_off(1.min(argv.len()));
        Ok(Execute {
            sandbox_id: Some(sandbox.to_owned()),
            command: argv.pop(),
            args: Some(args),
            env: Some(self.environment()?).filter(|env| !env.is_empty()),
            cwd: self.workdir.clone(),
            user: self.user.clone(),
            timeout: self.timeout,
            ..Execute::default()
        })
    }

    /// Flags come after files, later ones before earlier ones.
    fn environment(&self) -> Result<BTreeMap<String, String>> {
        let mut variables = BTreeMap::new();
        for file in &self.env_file {
            let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            lines.for_each(|line| variables.extend(variable(line)));
        }
        for text in &self.env {
            if text.starts_with('=') || text.is_empty() {
                return Err(Failure::usage(format!("--env {text}: write it like --env NAME=VALUE")));
            }
            variables.extend(variable(text));
        }
        Ok(variables)
    }
}

/// A name alone stands for what it is here, and for nothing if it is nothing here.
fn variable(text: &str) -> Option<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => env::var(text).ok().map(|value| (text.to_owned(), value)),
    }
}
