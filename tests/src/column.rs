//! The engines that the suites are run on, and what each promises by design.

use std::path::Path;

use anyhow::Result;

use crate::{
    Missing,
    capability::{detect_host, find_program},
};

/// An engine, as a column of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// gVisor.
    Gvisor,
    /// Our own launcher.
    Native,
}

/// What an engine loses when its memory limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostToOom {
    /// The process; the sandbox goes on.
    Process,
    /// The sandbox with everything in it.
    Sandbox,
}

impl Column {
    /// All that the suites know.
    pub const ALL: [Self; 2] = [Self::Gvisor, Self::Native];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gvisor => "gvisor",
            Self::Native => "native",
        }
    }

    /// The tier that the API has to report.
    pub const fn isolation(self) -> &'static str {
        match self {
            Self::Gvisor => "userspace-kernel",
            Self::Native => "shared-kernel",
        }
    }

    /// See docs/engines.md.
    pub const fn lost_to_oom(self) -> LostToOom {
        match self {
            Self::Gvisor => LostToOom::Sandbox,
            Self::Native => LostToOom::Process,
        }
    }

    /// What a server needs to be allowed to use it.
    pub fn serve_flags(self) -> Vec<std::ffi::OsString> {
        match self {
            Self::Gvisor => Vec::new(),
            Self::Native => vec!["--allow-shared-kernel".into()],
        }
    }

    /// Why this machine cannot have it, found out without asking the product: where the machine could, an engine that
    /// does not work is a failure and not a reason to skip.
    pub async fn missing(self) -> Result<Option<String>> {
        if let Some(missing) = detect_host().await? {
            return Ok(Some(missing.why().to_owned()));
        }
        match self {
            Self::Gvisor if find_program("runsc").is_none() => Ok(Some(Missing::Runsc.why().to_owned())),
            Self::Native if !Path::new("/dev/loop-control").exists() => {
                Ok(Some("there are no loop devices".to_owned()))
            }
            Self::Gvisor | Self::Native => Ok(None),
        }
    }
}
