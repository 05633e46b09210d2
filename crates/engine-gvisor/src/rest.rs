//! How punctual a sandbox's timers are on the host.
//!
//! A sentry asks its host for a timer some thousand times a second as long as it lives, also when nothing runs in it
//! (the monitor of systrap's fast paths sleeps 400 microseconds at a time): 2 to 3 percent of a core per sandbox. The
//! kernel may put off a thread's timers by its timer slack (`timerslack_ns` in proc(5)), and a slack of [`RESTING`] takes
//! nearly all of that away. What comes by a descriptor - a request for an execution, say - wakes the sentry as fast as
//! ever; a program that sleeps inside may wake so much later. So may a thread that waits for a timer when the sandbox
//! is roused: it is woken then, by the signal that Go's runtime sends to its own threads to have them look up (`SIGURG`).
//! No other thread is: whoever rouses a sandbox is about to use it, and a dozen threads that look up are in the way.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString, c_long},
    fs, io,
    path::Path,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

/// The slack of a thread of which nothing else was said.
const PUNCTUAL: Duration = Duration::from_micros(50);
/// The slack while nobody uses the sandbox.
const RESTING: Duration = Duration::from_millis(100);
/// How often threads are looked for that were started meanwhile: they have the slack of the one that started them.
const PASSES_MAX: u32 = 5;

const SIGN_OF_INT: u64 = 1 << 31;

/// Lets the timers of a process go off late.
pub(crate) fn rest(pid: i32) -> io::Result<()> {
    set_slack(pid, RESTING).map(drop)
}

/// Has the timers of a process go off in time, those that run already, too.
pub(crate) fn rouse(pid: i32) -> io::Result<()> {
    let threads = set_slack(pid, PUNCTUAL)?;
    let waiting = threads.iter().filter(|thread| waits_for_timer(pid, thread));
    waiting.filter_map(|thread| thread.to_str()?.parse().ok()).filter_map(Pid::from_raw).for_each(wake);
    Ok(())
}

/// Whether a thread is in a system call that a timer ends. One of which that cannot be told may be.
fn waits_for_timer(pid: i32, thread: &OsStr) -> bool {
    let call = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("task").join(thread).join("syscall"));
    call.map_or(true, |call| is_timed(&call))
}

/// From the text of `syscall` in proc(5): the call's number and arguments, or that the thread is in none.
fn is_timed(call: &str) -> bool {
    let mut words = call.split_ascii_whitespace();
    let Some(number) = words.next().and_then(|number| number.parse::<c_long>().ok()) else { return false };
    let arguments: Vec<Option<u64>> =
        words.map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok()).collect();
    let argument = |index: usize| arguments.get(index).copied().flatten();
    match number {
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => true,
        // A number of milliseconds; a negative one is for ever.
        libc::SYS_epoll_pwait => argument(3).is_none_or(|timeout| timeout & SIGN_OF_INT == 0),
        // Where it is; null is for ever.
        libc::SYS_futex | libc::SYS_epoll_pwait2 => argument(3) != Some(0),
        libc::SYS_ppoll => argument(2) != Some(0),
        _ => false,
    }
}

/// Before Linux 6.9 nothing: its timer goes off late once more.
fn wake(thread: Pid) {
    let one_thread = PidfdFlags::from_bits_retain(libc::PIDFD_THREAD);
    if let Ok(thread) = pidfd_open(thread, one_thread) {
        // One that has ended needs no waking.
        let _ = pidfd_send_signal(thread, Signal::URG);
    }
}

/// Answers the threads.
fn set_slack(pid: i32, slack: Duration) -> io::Result<BTreeSet<OsString>> {
    let slack = slack.as_nanos().to_string();
    let mut set = BTreeSet::new();
    for _ in 0..PASSES_MAX {
        let mut is_complete = true;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?.file_name();
            if !set.contains(&thread) {
                is_complete = false;
                // The file is in a thread's own folder alone, not in that beneath `task`.
                match fs::write(format!("/proc/{}/timerslack_ns", thread.display()), &slack) {
                    Err(error) if !is_gone(&error) => return Err(error),
                    Ok(()) | Err(_) => set.insert(thread),
                };
            }
        }
        if is_complete {
            break;
        }
    }
    Ok(set)
}

/// Whether the thread has ended meanwhile: before its file was opened, or after.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || Errno::from_io_error(error) == Some(Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_that_a_timer_ends_are_woken_from() {
        let (nanosleep, futex, epoll) = (libc::SYS_nanosleep, libc::SYS_futex, libc::SYS_epoll_pwait);
        let ppoll = libc::SYS_ppoll;
        for (call, expected) in [
            (format!("{nanosleep} 0xc000043f18 0x0 0x0 0x0 0x0 0x0 0xc000043f18 0x47a337"), true),
            (format!("{epoll} 0xf 0xc0000ad774 0x80 0x1 0x0 0x0 0xc0000ad6d0 0x40714e"), true),
            (format!("{epoll} 0x14 0xc0004c5ad8 0x64 0xffffffffffffffff 0x0 0x0 0xc000 0x40714e"), false),
            (format!("{epoll} 0x14 0xc0004c5ad8 0x64 0xffffffff 0x0 0x0 0xc000 0x40714e"), false),
            (format!("{futex} 0xc000061148 0x80 0x0 0x0 0x0 0x0 0xc000075e48 0x47a923"), false),
            (format!("{futex} 0xc000061148 0x80 0x0 0xc000075e98 0x0 0x0 0xc000075e48 0x47a923"), true),
            (format!("{ppoll} 0xc0000e76f0 0x2 0x0 0x0 0x0 0x0 0xc0000e75a8 0x40714e"), false),
            (format!("{ppoll} 0xc0000e76f0 0x2 0xc0000e7700 0x0 0x0 0x0 0xc0000e75a8 0x40714e"), true),
            ("running".to_owned(), false),
            ("-1 0x7ffc 0x47a923".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_timed(&call), expected, "{call}");
        }
    }
}
