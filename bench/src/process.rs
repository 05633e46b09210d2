//! The processes of this machine, as `/proc` shows them.

use std::{collections::HashSet, fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal};

/// One process at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: i32,
    /// Its parent's number.
    parent: i32,
    /// Its arguments, with spaces between them.
    pub(crate) command: String,
    cgroups: String,
    /// What it has used of the processors.
    cpu: Duration,
}

/// All processes; zombies, and those that vanish while looking, are left out.
pub(crate) fn all() -> Result<Vec<Process>> {
    let entries = fs::read_dir("/proc").context("read /proc")?;
    Ok(entries.flatten().filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect())
}

/// The processes whose arguments or cgroups name `text`, and all their descendants, but not this program's.
pub(crate) fn naming(text: &str) -> Result<Vec<Process>> {
    let ours = std::process::id().to_string();
    let all = all()?;
    let named = |process: &&Process| process.command.contains(text) || process.cgroups.contains(text);
    let mut pids: HashSet<i32> = all.iter().filter(named).map(|process| process.pid).collect();
    loop {
        let before = pids.len();
        pids.extend(
            all.iter().filter(|process| pids.contains(&process.parent)).map(|process| process.pid).collect::<Vec<_>>(),
        );
        if pids.len() == before {
            break;
        }
    }
    Ok(all.into_iter().filter(|process| pids.contains(&process.pid) && process.pid.to_string() != ours).collect())
}

/// What the processes of [`naming`] have used of the processors.
pub(crate) fn cpu_of(text: &str) -> Result<Duration> {
    Ok(naming(text)?.iter().map(|process| process.cpu).sum())
}

/// Asks a process to end. Succeeds if it is gone already.
pub(crate) fn signal(pid: i32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid).context("a process has a positive number")?;
    match rustix::process::kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context("signal a process"),
    }
}

/// Asks until `done`, with a deadline.
pub(crate) async fn eventually(what: &str, within: Duration, mut done: impl AsyncFnMut() -> bool) -> Result<()> {
    let start = std::time::Instant::now();
    while !done().await {
        ensure!(start.elapsed() < within, "{what}: not within {} s", within.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn read(pid: i32) -> Option<Process> {
    let folder = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The name in parentheses may contain anything; what follows the last one is regular.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    if state == "Z" {
        return None;
    }
    // The 14th and the 15th of all: in user mode and in the kernel, in ticks (proc(5)).
    let ticks: u64 = fields.skip(9).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let cpu = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
    let command = fs::read(folder.join("cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let cgroups = fs::read_to_string(folder.join("cgroup")).ok()?;
    Some(Process { pid, parent, command, cgroups, cpu })
}
