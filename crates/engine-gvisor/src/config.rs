//! What the engine is told.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Where everything is.
#[derive(Debug, Clone)]
pub struct GvisorConfig {
    /// The engine's own folder, made if missing: everything of an instance is beneath. One node at a time.
    pub folder: PathBuf,
    /// The `runsc` binary.
    pub runsc: PathBuf,
    /// What puts `runsc` into the sandbox's cgroup.
    pub starter: Starter,
    /// The cgroup that holds the sandboxes' cgroups and nothing else.
    pub cgroup_parent: String,
}

/// What is started in the place of `runsc`, enters the cgroup and becomes `runsc`.
#[derive(Debug, Clone)]
pub enum Starter {
    /// `/bin/sh`. Enough, but each boot takes 40 ms longer than with a program.
    Shell,
    /// A program of ours, which calls [`crate::starter::start`] with what follows its first arguments.
    Program {
        /// Its binary.
        program: PathBuf,
        /// What comes before the arguments of the start.
        first: Vec<OsString>,
    },
}

impl GvisorConfig {
    /// The usual values around a folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            runsc: "/usr/bin/runsc".into(),
            starter: Starter::Shell,
            cgroup_parent: cgroup_parent(folder),
        }
    }
}

/// Two nodes of one machine have two folders, and so two parents: neither takes the other's sandboxes for its own.
fn cgroup_parent(folder: &Path) -> String {
    // FNV-1a: the name must be the same in every run and every build.
    let hash = folder
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("sentinal-gvisor-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_has_a_cgroup_of_its_own_and_always_the_same() {
        let parent = |folder: &str| GvisorConfig::in_folder(Path::new(folder)).cgroup_parent;
        assert_eq!(parent("/var/lib/sentinal"), "sentinal-gvisor-2d51fbea0fbcb398");
        assert_ne!(parent("/a"), parent("/b"));
    }
}
