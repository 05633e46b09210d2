//! A subset of Containerfiles, as <https://docs.docker.com/reference/dockerfile/> describes them.
//!
//! A file is hostile like all that callers send. It is read without anybody's help ([`Containerfile::parse`]), and once
//! the base image is known, planned to the last word ([`Containerfile::plan`]): every variable is replaced, every path is
//! whole. What cannot be done is refused there with its line, before any of it is done. Nothing here touches anything.
//!
//! Read are FROM, ARG, RUN, COPY, ENV, WORKDIR, USER, CMD, ENTRYPOINT and LABEL, in one stage.

mod instruction;
mod limits;
mod line;
mod parse;
mod path;
mod plan;
mod word;

use std::{collections::BTreeMap, fmt};

pub use instruction::refusal_of;
pub use plan::{Action, Plan, Step};

use instruction::Instruction;

/// A file that was read.
#[derive(Debug, Clone)]
pub struct Containerfile {
    file: String,
    base: String,
    /// Where FROM stands.
    base_line: usize,
    /// What was given for an ARG, by name.
    args: BTreeMap<String, String>,
    /// ARGs before FROM, with what they stand for.
    outer: BTreeMap<String, String>,
    instructions: Vec<Instruction>,
}

/// How programs of an image are started: what a base has, and what is made of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Absolute; empty where nobody said.
    pub working_dir: String,
    /// Empty where nobody said.
    pub user: String,
    /// Recorded.
    pub entrypoint: Vec<String>,
    /// Recorded.
    pub cmd: Vec<String>,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The file, as its caller named it.
    pub file: String,
    /// Counted from 1; 0 is the file as a whole.
    pub line: usize,
    /// What is wrong, and what to do.
    pub why: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.why),
            line => write!(f, "{}:{line}: {}", self.file, self.why),
        }
    }
}

impl std::error::Error for Refused {}

impl Containerfile {
    /// The image that it begins with, by the name that it has here.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Why it is not this image, in words.
    pub fn no_base(&self, why: &str) -> Refused {
        let base: String = self.base.chars().take(200).collect();
        self.refused(self.base_line, format!("FROM {base:?} {why}"))
    }

    /// Why one of its steps is not possible, in words.
    pub fn no_step(&self, step: &Step, why: &str) -> Refused {
        self.refused(step.line, why.to_owned())
    }

    fn refused(&self, line: usize, why: String) -> Refused {
        Refused { file: self.file.clone(), line, why }
    }
}
