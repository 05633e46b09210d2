//! What an image says of itself: how its programs want to be started.

use sentinal_agent_protocol::defaults::Defaults;
use serde::{Deserialize, Serialize};

use crate::{
    ImageError,
    limits::{CONFIG_TEXT_BYTES_MAX, CONFIG_WORDS_MAX, ENV_BYTES_MAX, ENV_MAX},
};

/// The parts of an image's configuration that mean something here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// `NAME=value`: what executions have, before what a request adds or replaces.
    pub env: Vec<String>,
    /// Where executions begin; empty is their user's home.
    pub working_dir: String,
    /// As the image says it: a name or a number, and perhaps a group.
    pub user: String,
    /// Who executions run as by default.
    pub run_as: RunAs,
    /// Recorded, and not acted on: an execution names its own command.
    pub entrypoint: Vec<String>,
    /// Recorded, and not acted on.
    pub cmd: Vec<String>,
}

/// Who executions run as that name no user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunAs {
    /// uid 1000, as in every sandbox: the image names nobody, or somebody that it does not know itself.
    #[default]
    Ordinary,
    /// The user that the image names.
    Image,
}

/// As the image's own document has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Written {
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
}

impl Written {
    /// Refuses what no image needs.
    pub(crate) fn checked(self) -> Result<Config, ImageError> {
        let config = Config {
            env: self.env.unwrap_or_default(),
            working_dir: self.working_dir.unwrap_or_default(),
            user: self.user.unwrap_or_default(),
            run_as: RunAs::Ordinary,
            entrypoint: self.entrypoint.unwrap_or_default(),
            cmd: self.cmd.unwrap_or_default(),
        };
        config.check().map(|()| config)
    }
}

impl Config {
    /// Whether it is within its bounds. Whoever takes one from another process asks again.
    pub fn check(&self) -> Result<(), ImageError> {
        let env_bytes: usize = self.env.iter().map(String::len).sum();
        if ENV_MAX < self.env.len() || ENV_BYTES_MAX < env_bytes {
            return Err(ImageError::refused(format!(
                "it has more than {ENV_MAX} variables or {ENV_BYTES_MAX} bytes of them"
            )));
        }
        if self.env.iter().any(|variable| variable.split_once('=').is_none_or(|(name, _)| name.is_empty())) {
            return Err(ImageError::refused("one of its variables has no name"));
        }
        if CONFIG_WORDS_MAX < self.entrypoint.len().max(self.cmd.len()) {
            return Err(ImageError::refused(format!("its command has more than {CONFIG_WORDS_MAX} words")));
        }
        let words = self.entrypoint.iter().chain(&self.cmd).chain([&self.working_dir, &self.user]);
        if words.clone().any(|word| CONFIG_TEXT_BYTES_MAX < word.len()) {
            return Err(ImageError::refused(format!(
                "a text in its configuration has more than {CONFIG_TEXT_BYTES_MAX} bytes"
            )));
        }
        if words.chain(&self.env).any(|text| text.contains('\0')) {
            return Err(ImageError::refused("its configuration has a NUL byte"));
        }
        if !self.working_dir.is_empty() && !self.working_dir.starts_with('/') {
            return Err(ImageError::refused("its working directory is no absolute path"));
        }
        Ok(())
    }

    /// The user without its group: the groups of a sandbox's users come from its own files.
    pub(crate) fn user_name(&self) -> &str {
        self.user.split(':').next().unwrap_or_default()
    }

    /// What the agent is to know of it.
    pub(crate) fn defaults(&self) -> Defaults {
        let variable = |text: &String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Defaults {
            user: match self.run_as {
                RunAs::Image => self.user_name().to_owned(),
                RunAs::Ordinary => String::new(),
            },
            folder: self.working_dir.clone(),
            env: self.env.iter().filter_map(variable).collect(),
        }
    }
}
