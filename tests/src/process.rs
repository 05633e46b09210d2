//! The processes of this machine, as `/proc` shows them.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// One process at one moment.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its parent's number.
    pub parent: i32,
    /// `R`, `S`, `Z`, ... as `/proc/PID/stat` says it.
    pub state: char,
    /// Its arguments; empty for kernel threads and zombies.
    pub args: Vec<String>,
    /// The text of `/proc/PID/cgroup`.
    pub cgroups: String,
}

impl Process {
    /// Whether an argument or a cgroup of it contains `text`.
    pub fn names(&self, text: &str) -> bool {
        self.args.iter().any(|arg| arg.contains(text)) || self.cgroups.contains(text)
    }

    /// The last part of the path of its program.
    pub fn program(&self) -> &str {
        self.args.first().map_or("", |program| program.rsplit('/').next().unwrap_or(program))
    }

    /// Ends it at once. Succeeds if it is gone already.
    pub fn kill(&self, signal: rustix::process::Signal) -> Result<()> {
        let pid = rustix::process::Pid::from_raw(self.pid).context("a process has a positive number")?;
        match rustix::process::kill_process(pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("kill {self}")),
        }
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line: String = self.args.join(" ").chars().take(200).collect();
        write!(f, "process {} ({}, child of {}): {line}", self.pid, self.state, self.parent)
    }
}

/// All processes; those that vanish while looking are left out.
pub fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(read).collect()
}

fn read(pid: i32) -> Option<Process> {
    let folder = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The name in parentheses may contain anything; what follows the last one is regular.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let raw = fs::read(folder.join("cmdline")).ok()?;
    let args = raw.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned());
    let args = args.filter(|arg| !arg.is_empty()).collect();
    let cgroups = fs::read_to_string(folder.join("cgroup")).ok()?;
    Some(Process { pid, parent, state, args, cgroups })
}
