//! What a caller asks for when creating a sandbox.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use crate::{Cpu, Disk, EngineChoice, Error, Memory, limits};

/// A sandbox as asked for. Every field is within its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Which engine.
    pub engine: EngineChoice,
    /// Cores.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// What it may write.
    pub disk: Disk,
    /// What it is booted from.
    pub image: ImageName,
    /// How long it lives, counted from its creation.
    pub ttl: Duration,
    /// How long it may be idle: no execution runs in it, no file goes in or out. `None`: until its ttl.
    pub idle_timeout: Option<Duration>,
    /// The caller's own marks.
    pub labels: Labels,
}

/// The name of an image in a node's store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageName(String);

impl ImageName {
    /// The image that `sentinal image build-default` makes.
    pub const DEFAULT: &'static str = "default";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ImageName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ImageName {
    type Err = Error;

    /// Parses 1 to 128 characters of `a-z 0-9 . _ - / :`, beginning with a letter or digit, without `..`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/:".contains(&b);
        let first_allowed = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if first_allowed && text.len() <= 128 && text.bytes().all(allowed) && !text.contains("..") {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid(
            "image: a name has 1 to 128 of the characters a-z 0-9 . _ - / : and begins with a letter or digit",
        ))
    }
}

/// What is to be changed of a sandbox; the rest stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SandboxUpdate {
    /// How long it lives from now on.
    pub ttl: Option<Duration>,
    /// Labels to set or, without a value, to remove.
    pub labels: BTreeMap<String, Option<String>>,
}

/// A sandbox's labels: bounded in number and size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The labels in order of their keys.
    pub const fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl TryFrom<BTreeMap<String, String>> for Labels {
    type Error = Error;

    fn try_from(labels: BTreeMap<String, String>) -> Result<Self, Error> {
        if labels.len() > limits::LABELS_MAX {
            return Err(Error::invalid(format!(
                "labels: {} given; at most {} are allowed",
                labels.len(),
                limits::LABELS_MAX
            )));
        }
        for (key, value) in &labels {
            let key_fits = !key.is_empty() && key.len() <= limits::LABEL_KEY_BYTES_MAX;
            if !key_fits || key.chars().any(char::is_control) {
                return Err(Error::invalid(format!(
                    "labels: a key has 1 to {} bytes and no control characters",
                    limits::LABEL_KEY_BYTES_MAX
                )));
            }
            if value.len() > limits::LABEL_VALUE_BYTES_MAX || value.chars().any(char::is_control) {
                return Err(Error::invalid(format!(
                    "labels: the value of {key:?} may have {} bytes and no control characters",
                    limits::LABEL_VALUE_BYTES_MAX
                )));
            }
        }
        Ok(Self(labels))
    }
}
