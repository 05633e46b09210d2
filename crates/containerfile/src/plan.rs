//! From instructions to steps: every variable is replaced, every path is whole.

use std::collections::BTreeMap;

use crate::{
    Config, Containerfile, Refused,
    instruction::{Instruction, Word},
    limits::{VARIABLES_BYTES_MAX, VARIABLES_MAX},
    parse::arguments,
    path::{absolute, inside},
    word,
};

/// What is to be done, and what comes of it beside files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// How the new image's programs are started.
    pub config: Config,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where it stands, counted from 1.
    pub line: usize,
    /// As it is written, on one line.
    pub text: String,
    /// What is to be done for it.
    pub action: Action,
}

/// What is to be done in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A program runs to its end.
    Run {
        /// It and its arguments.
        argv: Vec<String>,
        /// What it has in its environment.
        env: Vec<(String, String)>,
        /// Where it begins, an absolute path.
        folder: String,
        /// A name or number of the image.
        user: String,
    },
    /// Files of the context come in.
    Copy {
        /// Paths within the context; empty is all of it. Their last part may have `*` and `?`.
        sources: Vec<String>,
        /// Absolute. One that ends with a slash is a folder.
        to: String,
    },
    /// A folder is made, with those on its way, if it is missing.
    Folder {
        /// Absolute.
        path: String,
    },
    /// It only says something of the image.
    Nothing,
    /// Nothing comes of it at all.
    Ignored,
}

impl Containerfile {
    /// What is to be done to an image with this configuration.
    pub fn plan(&self, base: &Config) -> Result<Plan, Refused> {
        let mut state = State::new(self, base);
        let mut steps = Vec::new();
        for instruction in &self.instructions {
            let action = state.step(instruction).map_err(|why| self.refused(instruction.line, why))?;
            let text = format!("{} {}", instruction.word.as_str(), instruction.rest);
            steps.push(Step { line: instruction.line, text, action });
        }
        Ok(Plan { steps, config: state.config() })
    }
}

struct State<'a> {
    file: &'a Containerfile,
    env: Vec<(String, String)>,
    args: BTreeMap<String, String>,
    folder: String,
    config: Config,
    has_cmd: bool,
}

impl<'a> State<'a> {
    fn new(file: &'a Containerfile, base: &Config) -> Self {
        let split = |text: &String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let folder = if base.working_dir.is_empty() { "/".to_owned() } else { base.working_dir.clone() };
        let env = base.env.iter().filter_map(split).collect();
        Self { file, env, args: BTreeMap::new(), folder, config: base.clone(), has_cmd: false }
    }

    fn config(self) -> Config {
        let env = self.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Config { env, ..self.config }
    }

    fn step(&mut self, Instruction { word, rest, .. }: &Instruction) -> Result<Action, String> {
        match word {
            Word::Arg => self.arg(rest)?,
            Word::Run => return self.run(rest),
            Word::Copy => return self.copy(rest),
            Word::Env => self.env(rest)?,
            Word::Workdir => return self.workdir(rest),
            Word::User => self.config.user = self.one(rest, "USER name")?,
            Word::Cmd => {
                self.config.cmd = program(rest)?;
                self.has_cmd = true;
            }
            Word::Entrypoint => {
                self.config.entrypoint = program(rest)?;
                // The base's arguments are none of this program's.
                if !self.has_cmd {
                    self.config.cmd.clear();
                }
            }
            Word::Label => return Ok(Action::Ignored),
        }
        Ok(Action::Nothing)
    }

    fn lookup(&self, name: &str) -> Option<String> {
        let in_env = self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        in_env.or_else(|| self.args.get(name)).cloned()
    }

    fn words(&self, rest: &str) -> Result<Vec<String>, String> {
        word::words(rest, &|name| self.lookup(name))
    }

    fn one(&self, rest: &str, form: &str) -> Result<String, String> {
        let word = word::text(rest, &|name| self.lookup(name))?;
        if word.trim().is_empty() {
            return Err(format!("it stands for nothing; write it like {form}"));
        }
        if word.contains(char::is_control) {
            return Err("it has a control character".to_owned());
        }
        Ok(word)
    }

    fn arg(&mut self, rest: &str) -> Result<(), String> {
        for (name, default) in arguments(rest, &|name| self.lookup(name))? {
            let given = self.file.args.get(&name).or_else(|| self.file.outer.get(&name).filter(|_| default.is_none()));
            let value = given.cloned().or(default);
            self.args.insert(name, value.unwrap_or_default());
        }
        self.check_variables()
    }

    /// `NAME=value ...`, or `NAME value` to the end of the line.
    fn env(&mut self, rest: &str) -> Result<(), String> {
        let first = rest.split_whitespace().next().unwrap_or_default();
        let pairs = if first.contains('=') {
            let split = |text: String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            self.words(rest)?.into_iter().map(split).collect::<Option<Vec<_>>>()
        } else {
            let value = rest.split_once(char::is_whitespace).map(|(_, value)| self.one(value.trim(), "ENV NAME=value"));
            value.transpose()?.map(|value| vec![(first.to_owned(), value)])
        };
        let pairs = pairs.ok_or("write it like ENV NAME=value")?;
        for (name, value) in pairs {
            if name.is_empty() || name.contains(['\0', '=']) || value.contains('\0') {
                return Err("write it like ENV NAME=value".to_owned());
            }
            self.env.retain(|(known, _)| *known != name);
            self.env.push((name, value));
        }
        self.check_variables()
    }

    fn check_variables(&self) -> Result<(), String> {
        let all = self.env.iter().map(|(name, value)| (name, value)).chain(&self.args);
        let (count, bytes) =
            all.fold((0, 0), |(count, bytes), (name, value)| (count + 1, bytes + name.len() + value.len() + 1));
        if VARIABLES_MAX < count || VARIABLES_BYTES_MAX < bytes {
            return Err(format!(
                "there are more than {VARIABLES_MAX} variables or {VARIABLES_BYTES_MAX} bytes of them"
            ));
        }
        Ok(())
    }

    fn run(&self, rest: &str) -> Result<Action, String> {
        let mut env = self.env.clone();
        let args = self.args.iter().filter(|(name, _)| self.env.iter().all(|(known, _)| known != *name));
        env.extend(args.map(|(name, value)| (name.clone(), value.clone())));
        let user = self.config.user.split(':').next().filter(|user| !user.is_empty()).unwrap_or("0");
        Ok(Action::Run { argv: program(rest)?, env, folder: self.folder.clone(), user: user.to_owned() })
    }

    fn workdir(&mut self, rest: &str) -> Result<Action, String> {
        let path = self.one(rest, "WORKDIR /path")?;
        let path = absolute(&self.folder, &path);
        let path = if path == "/" { path } else { path.trim_end_matches('/').to_owned() };
        self.folder.clone_from(&path);
        self.config.working_dir.clone_from(&path);
        Ok(Action::Folder { path })
    }

    fn copy(&self, rest: &str) -> Result<Action, String> {
        let mut words = match list(rest) {
            Some(words) => words?.iter().map(|text| self.one(text, COPY)).collect::<Result<_, _>>()?,
            None => self.words(rest)?,
        };
        let to = words
            .pop()
            .filter(|to| !to.is_empty() && !words.is_empty())
            .ok_or_else(|| format!("write it like {COPY}"))?;
        let sources = words.iter().map(|source| source_of(source)).collect::<Result<Vec<_>, _>>()?;
        let to = absolute(&self.folder, &to);
        if 1 < sources.len() && !to.ends_with('/') {
            return Err("several files go into a folder: end it with a slash".to_owned());
        }
        Ok(Action::Copy { sources, to })
    }
}

const COPY: &str = "COPY source /path";

fn source_of(source: &str) -> Result<String, String> {
    let shown: String = source.chars().take(100).collect();
    let path =
        inside(source).ok_or_else(|| format!("{shown:?} leads out of the context; only what is in it is copied"))?;
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    if path.contains('[') || folders.contains(['*', '?']) {
        return Err(format!("{shown:?} is not read: * and ? may stand in the last part of a path"));
    }
    Ok(path)
}

/// As words, or as a text for the shell.
fn program(rest: &str) -> Result<Vec<String>, String> {
    let argv = list(rest).unwrap_or_else(|| Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), rest.to_owned()]))?;
    if argv.first().is_none_or(String::is_empty) || argv.iter().any(|word| word.contains('\0')) {
        return Err("it names no program".to_owned());
    }
    Ok(argv)
}

/// `["word", ...]`; `None` if it does not begin as one.
fn list(rest: &str) -> Option<Result<Vec<String>, String>> {
    rest.starts_with('[').then(|| {
        serde_json::from_str(rest)
            .map_err(|error| format!("it begins like a list of words in quotes, and is none: {error}"))
    })
}

#[cfg(test)]
mod tests;
