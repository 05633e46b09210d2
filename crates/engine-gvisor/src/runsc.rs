//! How `runsc` is called, and which one it is.

use std::{ffi::OsString, time::Duration};

use sentinal_engine::child::Child;

use crate::{GvisorConfig, Starter, folder::Furnished, starter::Start};

/// The oldest that is known to serve: its EROFS roots and overlays in a folder are what an instance is made of.
pub(crate) const OLDEST: Release = Release(20_240_729);

/// The day of a release, as its number `20240729`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release(u32);

/// How the call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// When the sandbox has been started.
    Detached,
    /// When the sandbox's init has ended.
    Attached,
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Release {
    /// From `runsc version release-20240729.0` or `runsc version 0.0~20240729.0`.
    pub(crate) fn parse(version: &str) -> Option<Self> {
        let number = version.strip_prefix("runsc version ")?.split_whitespace().next()?;
        let number = number.strip_prefix("release-").or_else(|| number.strip_prefix("0.0~"))?;
        let digits = number.get(..8).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
        digits.parse().ok().map(Self)
    }
}

/// The call that runs an instance whose folder has been furnished, in the surroundings that `start` makes.
pub(crate) fn run(config: &GvisorConfig, folder: &Furnished, start: Start, mode: Mode, deadline: Duration) -> Child {
    let Starter { program, first } = &config.starter;
    let child = Child::new(program, deadline).args(first).args(start.arguments());
    child.named("runsc").args([&config.runsc]).args(arguments(folder, mode))
}

fn arguments(folder: &Furnished, mode: Mode) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--root".into(), folder.runsc().into()];
    let flags = ["--platform=systrap", "--network=none", "--host-uds=open", "--ignore-cgroups", "run"];
    arguments.extend(flags.map(OsString::from));
    if mode == Mode::Detached {
        arguments.push("--detach".into());
    }
    arguments.extend(["--pid-file".into(), folder.0.pid_file().into(), "--bundle".into(), folder.bundle().into()]);
    arguments.push(folder.0.id().to_string().into());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, release: Option<u32>) {
        assert_eq!(Release::parse(said), release.map(Release), "{said}");
    }

    #[test]
    fn a_release_is_its_day() {
        check("runsc version 0.0~20240729.0 spec: 1.0.2-dev", Some(20_240_729));
        check("runsc version release-20251103.0 spec: 1.1.0-rc.1", Some(20_251_103));
        check("runsc version VERSION_MISSING spec: 1.0.2-dev", None);
        check("runsc version 0.0~2024", None);
        check("runc version 1.1.5", None);
        check("", None);
    }
}
