//! Where the figures come from: without it they mean nothing.

use std::{fs, thread};

use anyhow::{Context, Result};

/// The machine at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    processors: usize,
    memory: String,
    kernel: String,
    load: String,
    runsc: String,
}

impl Machine {
    /// As it is.
    pub(crate) fn now() -> Result<Self> {
        Ok(Self {
            processors: thread::available_parallelism().context("count processors")?.get(),
            memory: memory()?,
            kernel: word("/proc/sys/kernel/osrelease", 0)?,
            load: load()?,
            runsc: crate::bare::version()?,
        })
    }

    /// One line, with the load from then to now.
    pub(crate) fn describe(&self) -> String {
        let Self { processors, memory, kernel, load: before, runsc } = self;
        let after = load().unwrap_or_else(|_| "?".to_owned());
        format!("{processors} processors, {memory}, Linux {kernel}, {runsc}; load {before} before, {after} after")
    }
}

fn memory() -> Result<String> {
    let kib: u64 = word("/proc/meminfo", 1)?.parse().context("read MemTotal")?;
    Ok(format!("{} GiB", kib.div_ceil(1 << 20)))
}

fn load() -> Result<String> {
    word("/proc/loadavg", 0)
}

fn word(path: &str, index: usize) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    text.split_whitespace().nth(index).map(str::to_owned).with_context(|| format!("{path} is empty"))
}
