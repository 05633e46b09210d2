//! A child with vfork semantics: it shares our memory and we wait until it has become the program. A fork would
//! copy the address space, the dear part in gVisor; and its failures would need a pipe to come back on.
//!
//! Between clone and exec the child runs on a stack of its own, makes raw system calls only (the C library's
//! wrappers would tell the agent's other threads to change identity as well) and allocates nothing.

#![allow(unsafe_code, reason = "STYLE: unsafe lives in files named sys.rs")]

use std::{
    convert::Infallible,
    ffi::{CString, c_char, c_int, c_long, c_void},
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use crate::{sys::reap_failed, user::Identity};

const SHELL: &std::ffi::CStr = c"/bin/sh";
const STACK_BYTES: usize = 64 * 1024;
/// Makes a terminal the session's (`ioctl_tty(2)`).
const TIOCSCTTY: usize = 0x540e;

/// Everything about a program that is decided before it is started.
pub(super) struct Plan<'a> {
    /// Files to try, in order.
    pub(super) candidates: Vec<CString>,
    /// The program's name as it will see it, and its arguments.
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Vec<CString>,
    pub(super) cwd: CString,
    /// Otherwise `/` will do.
    pub(super) is_cwd_needed: bool,
    pub(super) stdio: [BorrowedFd<'a>; 3],
    /// They are a terminal, which becomes the session's.
    pub(super) is_terminal: bool,
    /// None: stay what the agent is.
    pub(super) identity: Option<&'a Identity>,
    /// Dropped from the bounding set unless the program runs as root.
    pub(super) capabilities: &'a [u32],
    /// Under memory pressure; decimal.
    pub(super) oom_score: Option<&'a str>,
    pub(super) processes_max: Option<u64>,
    pub(super) open_files_max: u64,
}

/// Where a start failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Clone,
    Session,
    Stdio,
    Limits,
    Capabilities,
    Identity,
    WorkingDirectory,
    Exec,
}

impl Step {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Session => "session",
            Self::Stdio => "standard streams",
            Self::Limits => "limits",
            Self::Capabilities => "capabilities",
            Self::Identity => "identity",
            Self::WorkingDirectory => "working directory",
            Self::Exec => "exec",
        }
    }
}

/// Why there is no process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) step: Step,
    pub(super) errno: i32,
}

/// What a child runs on until it is the program; one suffices, since we wait.
pub(super) struct Stack(Box<[u128]>);

impl Stack {
    pub(super) fn new() -> Self {
        Self(vec![0; STACK_BYTES / size_of::<u128>()].into_boxed_slice())
    }
}

/// Pointers into a [`Plan`], as the kernel wants them, and where the child leaves its failure.
struct Frame<'a> {
    plan: &'a Plan<'a>,
    /// The shell, then the program's arguments, then null. From the second on it is the program's `argv`; as a
    /// whole, with the second replaced by the script's path, it is the shell's.
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    failed: Option<Failed>,
}

/// Starts the program and gives its pid.
pub(super) fn spawn(stack: &mut Stack, plan: &Plan<'_>) -> Result<i32, Failed> {
    let arguments = std::iter::once(SHELL.as_ptr()).chain(plan.arguments.iter().map(|text| text.as_ptr()));
    let environment = plan.environment.iter().map(|text| text.as_ptr());
    let mut frame = Frame {
        plan,
        arguments: arguments.chain([ptr::null()]).collect(),
        environment: environment.chain([ptr::null()]).collect(),
        failed: None,
    };
    let signals = replace_signal_mask(u64::MAX);
    let cloned = clone(stack, &mut frame);
    replace_signal_mask(signals);
    let pid = cloned?;
    match frame.failed {
        None => Ok(pid),
        Some(failed) => {
            reap_failed(pid);
            Err(failed)
        }
    }
}

fn clone(stack: &mut Stack, frame: &mut Frame<'_>) -> Result<c_int, Failed> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let top = stack.0.as_mut_ptr_range().end;
    let frame: *mut Frame<'_> = frame;
    // SAFETY: the stack is ours alone, aligned, and large enough for `child`, which calls only what is in this
    // file; with CLONE_VFORK we do not run, and neither the frame nor the stack goes away, until the child has
    // become another program or ended. All signals are blocked, so no handler runs in the child.
    // WHY: no safe interface has vfork semantics together with a change of identity and limits.
    let pid = unsafe { libc::clone(child, top.cast(), flags, frame.cast()) };
    if pid < 0 { Err(failed(Step::Clone)) } else { Ok(pid) }
}

extern "C" fn child(frame: *mut c_void) -> c_int {
    // SAFETY: it is the frame that `clone` was given, and the parent does not touch it while we run.
    // WHY: clone hands over a bare pointer.
    let frame = unsafe { &mut *frame.cast::<Frame<'_>>() };
    let Err(failed) = become_program(frame);
    frame.failed = Some(failed);
    127
}

fn become_program(frame: &mut Frame<'_>) -> Result<Infallible, Failed> {
    let plan = frame.plan;
    call(Step::Session, libc::SYS_setsid, [0; 4])?;
    for (target, source) in plan.stdio.iter().enumerate() {
        // No descriptor of ours is 0, 1 or 2 (std sees to it), so none is overwritten before its turn.
        call(Step::Stdio, libc::SYS_dup3, [descriptor(*source), target, 0, 0])?;
    }
    if plan.is_terminal {
        call(Step::Stdio, libc::SYS_ioctl, [0, TIOCSCTTY, 0, 0])?;
    }
    if let Some(score) = plan.oom_score {
        // A help, no need: without it the kernel chooses by size alone.
        let _ = set_oom_score(score);
    }
    if let Some(processes) = plan.processes_max {
        limit(libc::RLIMIT_NPROC as usize, processes)?;
    }
    limit(libc::RLIMIT_NOFILE as usize, plan.open_files_max)?;
    if let Some(identity) = plan.identity {
        assume(identity, plan.capabilities)?;
    }
    enter(plan)?;
    replace_signal_mask(0);
    execute(frame)
}

/// Of the child alone, though it shares our memory: the kernel knows of vfork.
fn set_oom_score(score: &str) -> Result<(), Failed> {
    let path = c"/proc/self/oom_score_adj".as_ptr().expose_provenance();
    let flags = (libc::O_WRONLY | libc::O_CLOEXEC) as usize;
    // The path is absolute: beneath which folder says nothing.
    let file = answer(Step::Limits, libc::SYS_openat, [0, path, flags, 0])?;
    let written = call(Step::Limits, libc::SYS_write, [file, score.as_ptr().expose_provenance(), score.len(), 0]);
    call(Step::Limits, libc::SYS_close, [file, 0, 0, 0])?;
    written
}

fn descriptor(descriptor: BorrowedFd<'_>) -> usize {
    // A descriptor is never negative.
    usize::try_from(descriptor.as_raw_fd()).unwrap_or(usize::MAX)
}

/// Sets a limit, or leaves a stricter one that we may not raise.
fn limit(resource: usize, value: u64) -> Result<(), Failed> {
    match set_limit(resource, libc::rlimit64 { rlim_cur: value, rlim_max: value }) {
        Err(Failed { errno: libc::EPERM, .. }) => {
            let mut hard = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
            call(Step::Limits, libc::SYS_prlimit64, [0, resource, 0, (&raw mut hard).addr()])?;
            set_limit(resource, libc::rlimit64 { rlim_cur: hard.rlim_max.min(value), rlim_max: hard.rlim_max })
        }
        other => other,
    }
}

fn set_limit(resource: usize, limit: libc::rlimit64) -> Result<(), Failed> {
    call(Step::Limits, libc::SYS_prlimit64, [0, resource, (&raw const limit).expose_provenance(), 0])
}

/// Root keeps what it has; anybody else can never become more than they are.
fn assume(identity: &Identity, capabilities: &[u32]) -> Result<(), Failed> {
    let (uid, gid) = (identity.uid as usize, identity.gid as usize);
    if uid != 0 {
        for capability in capabilities {
            call(Step::Capabilities, libc::SYS_prctl, [libc::PR_CAPBSET_DROP as usize, *capability as usize, 0, 0])?;
        }
        call(Step::Capabilities, libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0])?;
    }
    let groups = identity.groups.as_ptr().expose_provenance();
    call(Step::Identity, libc::SYS_setgroups, [identity.groups.len(), groups, 0, 0])?;
    call(Step::Identity, libc::SYS_setresgid, [gid, gid, gid, 0])?;
    call(Step::Identity, libc::SYS_setresuid, [uid, uid, uid, 0])
}

fn enter(plan: &Plan<'_>) -> Result<(), Failed> {
    let change =
        |path: *const c_char| call(Step::WorkingDirectory, libc::SYS_chdir, [path.expose_provenance(), 0, 0, 0]);
    match change(plan.cwd.as_ptr()) {
        Err(_) if !plan.is_cwd_needed => change(c"/".as_ptr()),
        other => other,
    }
}

/// As shells do: the next place when it is not in this one; a file without a format is a script.
fn execute(frame: &mut Frame<'_>) -> Result<Infallible, Failed> {
    let mut result = Failed { step: Step::Exec, errno: libc::ENOENT };
    for candidate in &frame.plan.candidates {
        let mut failed = replace_program(candidate.as_ptr(), &frame.arguments[1..], &frame.environment);
        if failed.errno == libc::ENOEXEC {
            if let Some(name) = frame.arguments.get_mut(1) {
                *name = candidate.as_ptr();
            }
            failed = replace_program(SHELL.as_ptr(), &frame.arguments, &frame.environment);
        }
        match failed.errno {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => result = failed,
            _ => return Err(failed),
        }
    }
    Err(result)
}

fn replace_program(file: *const c_char, arguments: &[*const c_char], environment: &[*const c_char]) -> Failed {
    let pointers =
        [file.expose_provenance(), arguments.as_ptr().expose_provenance(), environment.as_ptr().expose_provenance(), 0];
    match call(Step::Exec, libc::SYS_execve, pointers) {
        Err(failed) => failed,
        // Exec does not return when it succeeds.
        Ok(()) => Failed { step: Step::Exec, errno: libc::ENOEXEC },
    }
}

/// Sets the calling thread's mask of blocked signals and gives the one before.
fn replace_signal_mask(mask: u64) -> u64 {
    let mut before = 0_u64;
    let pointers = [
        libc::SIG_SETMASK as usize,
        (&raw const mask).expose_provenance(),
        (&raw mut before).expose_provenance(),
        size_of::<u64>(),
    ];
    // Cannot fail with these arguments.
    let _ = call(Step::Session, libc::SYS_rt_sigprocmask, pointers);
    before
}

/// Every caller in this file hands over numbers, or pointers to live memory of the type that the call wants.
/// Whatever a call does not use is 0, as prctl insists.
fn call(step: Step, number: c_long, arguments: [usize; 4]) -> Result<(), Failed> {
    answer(step, number, arguments).map(drop)
}

/// As [`call`], with what the call answers.
fn answer(step: Step, number: c_long, arguments: [usize; 4]) -> Result<usize, Failed> {
    let [first, second, third, fourth] = arguments;
    // SAFETY: see above; none of the calls changes memory that Rust believes constant.
    // WHY: the child may use raw system calls only.
    let result = unsafe { libc::syscall(number, first, second, third, fourth, 0_usize) };
    usize::try_from(result).map_err(|_| failed(step))
}

/// What the last call said. The child shares the parent's `errno`, which is not in use while the parent waits.
fn failed(step: Step) -> Failed {
    Failed { step, errno: std::io::Error::last_os_error().raw_os_error().unwrap_or(0) }
}
