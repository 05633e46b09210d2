//! Why native sandboxes cannot be had on a machine, and what to do about it.

use std::{error::Error as _, fs, io};

use sentinal_engine::{EngineError, ProbeFailure};
use sentinal_launcher::Step;

const USER_NAMESPACES: &str = "/proc/sys/user/max_user_namespaces";

/// The oldest kernel that serves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Oldest {
    pub(super) release: (u32, u32),
    pub(super) because: &'static str,
}

/// What can be told without trying; answers the kernel's release.
pub(super) fn machine(oldest: Oldest) -> Result<String, ProbeFailure> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    kernel(&release, oldest)?;
    let allowed = fs::read_to_string(USER_NAMESPACES).unwrap_or_default();
    user_namespaces(&allowed)?;
    Ok(release)
}

fn kernel(release: &str, oldest: Oldest) -> Result<(), ProbeFailure> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if oldest.release <= found {
        return Ok(());
    }
    Err(ProbeFailure::TooOld {
        program: "Linux".to_owned(),
        found: release.to_owned(),
        needed: format!("{}.{}", oldest.release.0, oldest.release.1),
        hint: oldest.because.to_owned(),
    })
}

fn user_namespaces(allowed: &str) -> Result<(), ProbeFailure> {
    if allowed.trim() == "0" {
        return Err(refused("the kernel is told to make no user namespaces", NAMESPACES_HINT));
    }
    Ok(())
}

pub(super) fn cgroups(error: &EngineError) -> ProbeFailure {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    refused(&format!("{error}: {cause}"), CGROUPS_HINT)
}

const NAMESPACES_HINT: &str = "set user.max_user_namespaces (sysctl) above zero; for a node that is not root, also kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0 where they exist";
const CGROUPS_HINT: &str = "mount the memory, cpu and pids cgroup controllers where the node may write to them";
const LOOPS_HINT: &str = "load the loop module, or give the node /dev/loop-control and /dev/loop*";

/// A failed sandbox: what the machine refused, where that can be told.
pub(super) fn failure(what: &str, error: EngineError) -> ProbeFailure {
    let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    if let Some(program) = missing(&error) {
        return program;
    }
    match error {
        EngineError::Deadline { deadline, .. } => ProbeFailure::Hung { what: what.to_owned(), deadline },
        EngineError::Child { stderr, .. } => told(what, &stderr),
        EngineError::Io { what: done, .. } if done.contains("cgroup") => {
            refused(&format!("cannot {done}{cause}"), CGROUPS_HINT)
        }
        EngineError::Io { what: done, .. } if done.contains("loop device") => {
            refused(&format!("cannot {done}{cause}"), LOOPS_HINT)
        }
        EngineError::NotFound(_)
        | EngineError::NotSupported { .. }
        | EngineError::NoSpace { .. }
        | EngineError::Io { .. } => ProbeFailure::Failed { what: what.to_owned(), detail: format!("{error}{cause}") },
    }
}

/// The program that unpacks images for nodes that are not root.
fn missing(error: &EngineError) -> Option<ProbeFailure> {
    let EngineError::Io { what, source } = error else { return None };
    let is_missing = what.ends_with("fsck.erofs") && source.kind() == io::ErrorKind::NotFound;
    let hint = "install erofs-utils: a node that is not root unpacks images with it";
    is_missing.then(|| ProbeFailure::Missing { program: "fsck.erofs".to_owned(), hint: hint.to_owned() })
}

/// What the launcher said: `<step>: cannot <what>: <the kernel's answer>`.
fn told(what: &str, said: &str) -> ProbeFailure {
    let hint = match Step::of(said) {
        Some(Step::Cgroup) => CGROUPS_HINT,
        Some(Step::Namespaces) => NAMESPACES_HINT,
        Some(Step::Loop) => LOOPS_HINT,
        Some(Step::FileSystem) => "the kernel needs EROFS and ext4",
        Some(Step::Users) => {
            "the file systems that hold images, sockets and sandboxes must support idmapped mounts (ext4, xfs, btrfs)"
        }
        Some(Step::Overlay) => "the kernel needs overlayfs that works in a user namespace",
        Some(Step::Seccomp) => "the kernel needs seccomp filters (CONFIG_SECCOMP_FILTER)",
        Some(Step::Landlock) => "Landlock is there and does not work; without it the sandbox would start",
        Some(Step::Plan | Step::Tree | Step::Limits | Step::Execute | Step::Talk) | None => {
            return ProbeFailure::Failed { what: what.to_owned(), detail: said.to_owned() };
        }
    };
    refused(said, hint)
}

fn refused(what: &str, hint: &str) -> ProbeFailure {
    ProbeFailure::Refused { what: what.to_owned(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: EngineError, hint: &str) {
        let failure = failure("x", error);
        assert!(matches!(&failure, ProbeFailure::Refused { hint: found, .. } if found.contains(hint)), "{failure}");
    }

    fn child(stderr: &str) -> EngineError {
        EngineError::Child {
            program: "launcher".to_owned(),
            status: "exit status 1".to_owned(),
            stderr: stderr.to_owned(),
        }
    }

    #[test]
    fn each_thing_that_a_machine_may_lack_is_told_with_what_to_do() {
        check(
            child("namespaces: cannot make a user and a pid namespace: No space left on device"),
            "max_user_namespaces",
        );
        check(child("cgroup: cannot enter /x: Permission denied"), "cgroup controllers");
        check(child("loop: cannot attach the layer to a loop device: No such file or directory"), "/dev/loop-control");
        check(child("users: cannot give the image the sandbox's users: Invalid argument"), "idmapped mounts");
        check(child("overlay: cannot mount overlay: Operation not permitted"), "overlayfs");
        check(child("file-system: cannot mount erofs: No such device"), "EROFS");
        check(child("seccomp: cannot filter system calls: Invalid argument"), "CONFIG_SECCOMP_FILTER");
        let read_only = || io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        check(
            EngineError::Io { what: "make /sys/fs/cgroup/memory/x".to_owned(), source: read_only() },
            "cgroup controllers",
        );
        check(
            EngineError::Io { what: "attach to a loop device /x".to_owned(), source: read_only() },
            "/dev/loop-control",
        );
    }

    #[test]
    fn what_cannot_be_told_is_a_failure_with_its_words() {
        let failure = failure("x", child("execute: cannot become the agent: Exec format error"));
        assert!(matches!(&failure, ProbeFailure::Failed { detail, .. } if detail.contains("Exec format")), "{failure}");
    }

    #[test]
    fn an_old_kernel_is_told_apart() {
        let oldest = Oldest { release: (5, 19), because: "of x" };
        for release in ["5.19.0", "6.18.44-fc-v657", "10.0"] {
            kernel(release, oldest).unwrap();
        }
        for release in ["5.10.0-28-amd64", "4.19", "strange"] {
            assert!(matches!(kernel(release, oldest), Err(ProbeFailure::TooOld { .. })), "{release}");
        }
    }

    #[test]
    fn no_user_namespaces_are_told_apart() {
        user_namespaces("96365\n").unwrap();
        user_namespaces("").unwrap();
        assert!(matches!(user_namespaces("0\n"), Err(ProbeFailure::Refused { .. })));
    }
}
