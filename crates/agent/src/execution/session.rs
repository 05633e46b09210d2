//! Signals to all that belongs to an execution.

use rustix::process::{Pid, Signal};

/// More processes than a sandbox may have.
const PROCESSES_MAX: usize = 65_536;

/// To a process group. One that is gone needs no signal.
pub(super) fn signal_group(leader: i32, signal: Signal) {
    // 1 would be everybody, and is never an execution.
    if let Some(leader) = Pid::from_raw(leader).filter(|leader| !leader.is_init()) {
        let _ = rustix::process::kill_process_group(leader, signal);
    }
}

/// Kills a process group, then what else is in its session: a shell with job control makes a group per job.
pub(super) fn kill(leader: i32) {
    signal_group(leader, Signal::KILL);
    for pid in members(leader) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// Empty where there is no `/proc`.
fn members(session: i32) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.take(PROCESSES_MAX).filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| session_of(*pid) == Some(session)).filter_map(Pid::from_raw).collect()
}

fn session_of(pid: i32) -> Option<i32> {
    parse_session(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// `pid (name) state ppid pgrp session ...`, where the name may be anything.
fn parse_session(stat: &[u8]) -> Option<i32> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    rest.split_ascii_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_have_any_name() {
        assert_eq!(parse_session(b"12 (a) 1 2 (b) S 1 12 77 0 -1"), Some(77));
        assert_eq!(parse_session(b"12 (\xff\n) S 1 12 77 0"), Some(77));
        assert_eq!(parse_session(b""), None);
        assert_eq!(parse_session(b"1 (x)"), None);
    }

    #[test]
    fn our_own_session_has_us_in_it() {
        let own = rustix::process::getpid();
        // Zero where the session began outside of our process namespace; it is found all the same.
        let session = session_of(own.as_raw_nonzero().get()).unwrap();
        assert!(members(session).contains(&own));
    }
}
