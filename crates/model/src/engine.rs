//! The engines by name, and how strongly each isolates.

use std::{fmt, str::FromStr};

/// How strongly a sandbox is kept from the host. Ordered: a later variant is stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isolation {
    /// Namespaces, seccomp and Landlock on the host's own kernel.
    SharedKernel,
    /// A kernel in user space between the program and the host.
    UserspaceKernel,
    /// A guest kernel of its own under a virtual machine monitor.
    Microvm,
}

impl Isolation {
    /// All tiers, weakest first.
    pub const ALL: [Self; 3] = [Self::SharedKernel, Self::UserspaceKernel, Self::Microvm];

    /// The tier as callers see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SharedKernel => "shared-kernel",
            Self::UserspaceKernel => "userspace-kernel",
            Self::Microvm => "microvm",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Isolation {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, "isolation tier", &Self::ALL.map(Self::as_str)))
    }
}

/// What runs a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EngineName {
    /// The Firecracker VMM under its jailer.
    Firecracker,
    /// Kata Containers through containerd.
    Kata,
    /// gVisor's `runsc`.
    Gvisor,
    /// Our own launcher on the host's kernel.
    Native,
}

impl EngineName {
    /// All engines, strongest isolation first; equal tiers in order of preference.
    pub const ALL: [Self; 4] = [Self::Firecracker, Self::Kata, Self::Gvisor, Self::Native];

    /// The name as callers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firecracker => "firecracker",
            Self::Kata => "kata",
            Self::Gvisor => "gvisor",
            Self::Native => "native",
        }
    }

    /// The tier this engine gives, whatever the machine.
    pub const fn isolation(self) -> Isolation {
        match self {
            Self::Firecracker | Self::Kata => Isolation::Microvm,
            Self::Gvisor => Isolation::UserspaceKernel,
            Self::Native => Isolation::SharedKernel,
        }
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EngineName {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|engine| engine.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, "engine", &Self::ALL.map(Self::as_str)))
    }
}

/// Which engine a caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EngineChoice {
    /// The strongest that is available and has room.
    #[default]
    Auto,
    /// This one or none.
    Named(EngineName),
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Named(engine) => engine.fmt(f),
        }
    }
}

impl FromStr for EngineChoice {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse()
            .map(Self::Named)
            .map_err(|_| UnknownName::new(text, "engine", &["auto", "firecracker", "kata", "gvisor", "native"]))
    }
}

/// A name that stands for nothing, with those that do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {name:?} does not exist; known are {known}")]
pub struct UnknownName {
    name: String,
    what: &'static str,
    known: String,
}

impl UnknownName {
    /// `name` is not one of `known`; long names are cut to 64 characters.
    pub fn new(name: &str, what: &'static str, known: &[&str]) -> Self {
        Self { name: name.chars().take(64).collect(), what, known: known.join(", ") }
    }
}
