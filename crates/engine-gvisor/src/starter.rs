//! What stands between the node and `runsc`: it enters the sandbox's cgroup, lays out what the sandbox sees of
//! the host, hides one system call, and becomes `runsc`.
//!
//! The mounts are in a mount namespace of the sandbox's own: they are in nobody's way, and go with its last process.
//!
//! Every process of `runsc` begins with a `membarrier` registration that waits for all cores of the host, 10 ms
//! each time and five times in a row for one boot. Where the call is not there, `runsc` does without: a boot
//! takes 80 ms instead of 120. Programs in the sandbox find that the call offers nothing and do without, too.

mod sys;

use std::{
    collections::BTreeMap,
    env::consts::ARCH,
    ffi::{CStr, OsString},
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change, mount_remount};
use seccompiler::{SeccompAction, SeccompFilter, TargetArch};
use sentinal_launcher::loops::Loop;

const BIND: &str = "--bind";
const LAYER: &str = "--layer";
/// Freed blocks leave the file; nobody reads it after a crash.
const LAYER_OPTIONS: &CStr = c"discard,noinit_itable,nobarrier";

/// What is to be done before the program is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Start {
    /// Files and folders of the host that are to be seen elsewhere: source and target, both of which exist.
    pub(crate) binds: Vec<(PathBuf, PathBuf)>,
    /// The file with what the sandbox writes, and where it is mounted.
    pub(crate) layer: (PathBuf, PathBuf),
    /// The files into which a process writes `0` to enter the cgroup.
    pub(crate) cgroup: Vec<PathBuf>,
}

/// Why `runsc` was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The arguments are not what [`start`] takes.
    #[error("usage: [--bind SOURCE TARGET]... --layer FILE TARGET CGROUP_FILE... -- PROGRAM [ARGUMENT]...")]
    Usage,
    /// The cgroup cannot be entered: without its limits nothing may run.
    #[error("cannot enter the cgroup {path}")]
    Enter {
        /// The file written to.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// What the sandbox is to see of the host cannot be laid out.
    #[error("cannot mount {path} for the sandbox")]
    Mount {
        /// What was mounted.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The program cannot be executed.
    #[error("cannot execute {program:?}")]
    Execute {
        /// Which.
        program: OsString,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Does what the arguments say and becomes the program that they name; returns only when that fails. Call it in
/// a process with one thread: what it does is done to the calling thread.
pub fn start(arguments: impl IntoIterator<Item = OsString>) -> StartError {
    let mut arguments = arguments.into_iter();
    let Some(start) = Start::parse(&mut arguments) else { return StartError::Usage };
    let Some(program) = arguments.next() else { return StartError::Usage };
    if let Err(error) = start.prepare() {
        return error;
    }
    hide_membarrier();
    let source = Command::new(&program).args(arguments).exec();
    StartError::Execute { program, source }
}

impl Start {
    /// The arguments that [`Start::parse`] makes this of.
    pub(crate) fn arguments(self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        for (source, target) in self.binds {
            arguments.extend([BIND.into(), source.into(), target.into()]);
        }
        let (file, point) = self.layer;
        arguments.extend([LAYER.into(), file.into(), point.into()]);
        arguments.extend(self.cgroup.into_iter().map(OsString::from));
        arguments.push("--".into());
        arguments
    }

    /// Takes the arguments up to `--`; `None` where they say something else.
    fn parse(arguments: &mut impl Iterator<Item = OsString>) -> Option<Self> {
        let mut start = Self::default();
        loop {
            let argument = arguments.next()?;
            if argument == "--" {
                return Some(start);
            }
            if argument == BIND {
                start.binds.push((arguments.next()?.into(), arguments.next()?.into()));
            } else if argument == LAYER {
                start.layer = (arguments.next()?.into(), arguments.next()?.into());
            } else {
                start.cgroup.push(argument.into());
            }
        }
    }

    fn prepare(&self) -> Result<(), StartError> {
        for path in &self.cgroup {
            fs::write(path, "0").map_err(|source| StartError::Enter { path: path.clone(), source })?;
        }
        self.lay_out()
    }

    /// In a mount namespace of the sandbox's own.
    fn lay_out(&self) -> Result<(), StartError> {
        sys::own_mounts().map_err(cannot_mount(Path::new("/")))?;
        // What is unmounted outside goes here, too; what is mounted here is not seen outside.
        let follows = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change("/", follows).map_err(|error| cannot_mount(Path::new("/"))(error.into()))?;
        for (source, target) in &self.binds {
            bind_read_only(source, target).map_err(|error| cannot_mount(source)(error.into()))?;
        }
        let (file, point) = &self.layer;
        mount_layer(file, point).map_err(cannot_mount(file))
    }
}

fn cannot_mount(path: &Path) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Mount { path: path.to_owned(), source }
}

fn bind_read_only(source: &Path, target: &Path) -> rustix::io::Result<()> {
    mount_bind(source, target)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount(target, flags, c"")
}

/// The loop device frees itself with the mount.
fn mount_layer(file: &Path, point: &Path) -> io::Result<()> {
    let device = Loop::writable(file)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    Ok(mount(device.path(), point, "ext4", flags, Some(LAYER_OPTIONS))?)
}

/// A help, no need: what fails only makes the boot slower.
fn hide_membarrier() {
    let Ok(architecture) = TargetArch::try_from(ARCH) else { return };
    let rules = BTreeMap::from([(libc::SYS_membarrier, Vec::new())]);
    let not_there = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, not_there, architecture);
    let program = filter.and_then(seccompiler::BpfProgram::try_from);
    if let Ok(program) = program {
        let _ = seccompiler::apply_filter(&program);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], error: &str) {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        assert_eq!(start(arguments).to_string(), error);
    }

    #[test]
    fn what_cannot_be_started_is_named() {
        let usage = StartError::Usage.to_string();
        for arguments in [&[][..], &["--"], &["--bind", "/a"]] {
            check(arguments, &usage);
        }
        check(&["/nowhere/cgroup.procs", "--", "/bin/true"], "cannot enter the cgroup /nowhere/cgroup.procs");
    }

    #[test]
    fn what_is_to_be_done_is_read_back_from_its_arguments() {
        let start = Start {
            binds: vec![("/agent".into(), "/x/agent".into()), ("/host".into(), "/x/host".into())],
            layer: ("/x/layer.ext4".into(), "/x/layer".into()),
            cgroup: vec!["/sys/fs/cgroup/x/cgroup.procs".into()],
        };
        assert_eq!(Start::parse(&mut start.clone().arguments().into_iter()), Some(start));
    }
}
