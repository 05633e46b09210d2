//! Contexts: programs that run one piece of code after the other and keep what they leave.

use std::{str::FromStr, time::Duration};

use crate::{Command, Error, GuestPath};

/// What code is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is its own name")]
pub enum Language {
    Python,
    Javascript,
    Bash,
}

impl Language {
    /// All that are known.
    pub const ALL: [Self; 3] = [Self::Python, Self::Javascript, Self::Bash];

    /// The language as callers name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Javascript => "javascript",
            Self::Bash => "bash",
        }
    }
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|language| language.as_str() == text).ok_or_else(|| {
            let name: String = text.chars().take(64).collect();
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid(format!("language: {name:?} is not known; known are {known}"))
        })
    }
}

/// A context to be started.
#[derive(Debug, Clone)]
pub struct NewContext {
    /// What its code is written in.
    pub language: Language,
    /// Added to the sandbox's environment.
    pub env: Vec<(String, String)>,
    /// Working directory; `None` is the user's home.
    pub cwd: Option<GuestPath>,
    /// A user name or number known inside; `None` is the sandbox's ordinary user (uid 1000).
    pub user: Option<String>,
}

impl NewContext {
    /// A command with all but its program.
    pub fn into_command(self) -> Command {
        Command {
            argv: Vec::new(),
            env: self.env,
            cwd: self.cwd,
            user: self.user,
            stdin: Vec::new(),
            stdin_open: false,
            timeout: Duration::ZERO,
            terminal: None,
            context: None,
        }
    }
}
