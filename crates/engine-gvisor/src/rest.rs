//! How punctual a sandbox's timers are on the host.
//!
//! A sentry asks its host for a timer some thousand times a second as long as it lives, also when nothing runs in it
//! (the monitor of systrap's fast paths sleeps 400 microseconds at a time): 2 to 3 percent of a core per sandbox. The
//! kernel may put off a thread's timers by its timer slack (`timerslack_ns` in proc(5)), and a slack of [`RESTING`] takes
//! nearly all of that away. What comes by a descriptor - a request for an execution, say - wakes the sentry as fast as
//! ever; a program that sleeps inside may wake so much later. So may a thread that sleeps when the sandbox is roused:
//! each is woken then, by the signal that Go's runtime sends to its own threads to have them look up (`SIGURG`).

use std::{collections::BTreeSet, ffi::OsString, fs, io, time::Duration};

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

/// Lets the timers of a process go off late.
pub(crate) fn rest(pid: i32) -> io::Result<()> {
    set_slack(pid, RESTING).map(drop)
}

/// Has the timers of a process go off in time, those that run already, too.
pub(crate) fn rouse(pid: i32) -> io::Result<()> {
    let threads = set_slack(pid, PUNCTUAL)?;
    threads.iter().filter_map(|thread| thread.to_str()?.parse().ok()).filter_map(Pid::from_raw).for_each(wake);
    Ok(())
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
