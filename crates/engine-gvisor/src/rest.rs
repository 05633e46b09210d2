//! How punctual a sandbox's timers are on the host.
//!
//! A sentry asks its host for a timer some thousand times a second as long as it lives, also when nothing runs in it
//! (the monitor of systrap's fast paths sleeps 400 microseconds at a time): 2 to 3 percent of a core per sandbox. The
//! kernel may put off a thread's timers by its timer slack (`timerslack_ns` in proc(5)), and a slack of [`RESTING`] takes
//! nearly all of that away. What comes by a descriptor - a request for an execution, say - wakes the sentry as fast as
//! ever; a program that sleeps inside may wake so much later.

use std::{collections::BTreeSet, fs, io, time::Duration};

use rustix::io::Errno;

/// The slack of a thread of which nothing else was said.
const PUNCTUAL: Duration = Duration::from_micros(50);
/// The slack while nobody uses the sandbox.
const RESTING: Duration = Duration::from_millis(100);
/// How often threads are looked for that were started meanwhile: they have the slack of the one that started them.
const PASSES_MAX: u32 = 5;

/// Lets the timers of a process go off late.
pub(crate) fn rest(pid: i32) -> io::Result<()> {
    set_slack(pid, RESTING)
}

/// Has the timers of a process go off in time.
pub(crate) fn rouse(pid: i32) -> io::Result<()> {
    set_slack(pid, PUNCTUAL)
}

fn set_slack(pid: i32, slack: Duration) -> io::Result<()> {
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
    Ok(())
}

/// Whether the thread has ended meanwhile: before its file was opened, or after.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || Errno::from_io_error(error) == Some(Errno::SRCH)
}
