//! System calls of the agent itself that no safe library offers.

#![allow(unsafe_code, reason = "STYLE: unsafe lives in files named sys.rs")]

use std::{
    ffi::{CStr, c_char, c_int, c_uint},
    io,
    os::fd::{FromRawFd, OwnedFd},
    time::Duration,
};

use tokio::io::{Interest, unix::AsyncFd};

unsafe extern "C" {
    static environ: *const *mut c_char;
}

/// A child that ended, and what it used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaped {
    pub(crate) pid: i32,
    pub(crate) how: How,
    pub(crate) cpu: Duration,
    pub(crate) memory_peak_bytes: u64,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Exited(i32),
    Signaled(i32),
}

/// Reads variables and overwrites them in place, so that `/proc/1/environ` does not show them either. Call it
/// before there is a second thread.
pub(crate) fn take_environment<const N: usize>(names: [&str; N]) -> [Option<String>; N] {
    let mut found = [const { None }; N];
    // SAFETY: `environ` is set up before main, and nothing changes it concurrently.
    // WHY: std can remove a variable from its list but not its bytes from memory.
    let mut entry = unsafe { environ };
    while let Some(variable) = next_variable(&mut entry) {
        // SAFETY: entries of `environ` are NUL-terminated strings.
        // WHY: see above.
        let bytes = unsafe { CStr::from_ptr(variable) }.to_bytes().to_vec();
        for (slot, name) in found.iter_mut().zip(names) {
            if let Some(value) = bytes.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")) {
                *slot = Some(String::from_utf8_lossy(value).into_owned());
                // SAFETY: the string is writable memory of this process, `bytes.len()` long before its NUL, and
                // nothing else reads it.
                // WHY: see above.
                unsafe { variable.write_bytes(0, bytes.len()) };
            }
        }
    }
    found
}

fn next_variable(entry: &mut *const *mut c_char) -> Option<*mut c_char> {
    if entry.is_null() {
        return None;
    }
    // SAFETY: `environ` is a null-terminated array, and the caller stops at its end.
    // WHY: it is the only way to the strings themselves.
    let variable = unsafe { **entry };
    if variable.is_null() {
        return None;
    }
    // SAFETY: the present entry is not the last, which is null.
    // WHY: see above.
    *entry = unsafe { entry.add(1) };
    Some(variable)
}

/// A descriptor that wakes a task when it is ready.
pub(crate) fn watch(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor stays open, and the same, until it is dropped with its registration.
    // WHY: tokio cannot know that of every type.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(Into::into)
}

/// Blocks SIGCHLD and gives a descriptor that is readable when one waits. Call it before there is a second
/// thread.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set.
    // WHY: signalfd: one read for an ended child, where a handler would cost a write and a return as well.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set is initialised.
    // WHY: see above.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD) };
    // SAFETY: the set is initialised, and the old one is not wanted.
    // WHY: a signal that is not blocked never reaches a signalfd.
    check(unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) })?;
    // SAFETY: the set is initialised; a new descriptor is asked for.
    // WHY: see above.
    let descriptor = check(unsafe { libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
    // SAFETY: the kernel has just given this descriptor to us alone.
    // WHY: it has no safe constructor.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Closes what the agent was started with beyond the standard streams, so that no program inherits it. Call it
/// before anything is opened.
pub(crate) fn close_inherited() {
    let (first, last) = (3_u32, c_uint::MAX);
    // SAFETY: nothing of ours is open but the standard streams.
    // WHY: nobody else in this process can own these descriptors, or could close them.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if closed == 0 {
        return;
    }
    // A kernel without close_range: as many as are likely.
    for descriptor in 3..1024 {
        // SAFETY: see above.
        // WHY: see above.
        unsafe { libc::close(descriptor) };
    }
}

extern "C" fn nothing(_signal: c_int) {}

/// Takes SIGPIPE with a handler that does nothing: writes fail with EPIPE, and since exec resets handlers (but
/// not ignored signals), programs start with the default without a system call for it.
pub(crate) fn survive_broken_pipes() {
    let handler = nothing as extern "C" fn(c_int) as libc::sighandler_t;
    // SAFETY: the handler touches nothing.
    // WHY: std ignores SIGPIPE, which programs would inherit.
    unsafe { libc::signal(libc::SIGPIPE, handler) };
}

/// Takes the end of a child that has ended, if there is one.
pub(crate) fn reap_any() -> io::Result<Option<Reaped>> {
    match wait(-1, libc::WNOHANG) {
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        other => other,
    }
}

/// Takes the end of a child that is about to end.
pub(crate) fn reap_failed(pid: i32) {
    // It is our child and nobody else waits; were it gone, that would be as good.
    let _ = wait(pid, 0);
}

fn wait(pid: i32, options: c_int) -> io::Result<Option<Reaped>> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let reaped = loop {
        // SAFETY: both pointers are to memory of the right type.
        // WHY: std and rustix do not give the resource usage.
        match check(unsafe { libc::wait4(pid, &raw mut status, options, usage.as_mut_ptr()) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    // SAFETY: all zeros is a valid value, and wait4 fills it in.
    // WHY: see above.
    let usage = unsafe { usage.assume_init() };
    let how = if libc::WIFSIGNALED(status) {
        How::Signaled(libc::WTERMSIG(status))
    } else {
        How::Exited(libc::WEXITSTATUS(status))
    };
    let memory_peak_bytes = u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024);
    let cpu = duration(usage.ru_utime).saturating_add(duration(usage.ru_stime));
    Ok((reaped > 0).then_some(Reaped { pid: reaped, how, cpu, memory_peak_bytes }))
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds).saturating_add(Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0)))
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
