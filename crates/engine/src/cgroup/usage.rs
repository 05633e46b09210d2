//! What a cgroup has used.

use std::fs;

use super::{Cgroup, Hierarchies, Hierarchy, Version};
use crate::{EndReason, InstanceUsage};

const NS_PER_US: u64 = 1000;

impl Cgroup {
    /// Everything but the disk; zero what cannot be read.
    pub fn usage(&self) -> InstanceUsage {
        let Hierarchies { memory, accounting, pids, .. } = &self.hierarchies;
        let (now, peak) = match memory.version {
            Version::V1 => ("memory.usage_in_bytes", "memory.max_usage_in_bytes"),
            Version::V2 => ("memory.current", "memory.peak"),
        };
        let cpu_us = match accounting.version {
            Version::V1 => self.number(accounting, "cpuacct.usage") / NS_PER_US,
            Version::V2 => self.keyed(accounting, "cpu.stat", "usage_usec"),
        };
        InstanceUsage {
            cpu_us,
            memory_bytes: self.number(memory, now),
            memory_peak_bytes: self.number(memory, peak),
            disk_bytes: 0,
            processes: self.number(pids, "pids.current"),
            oom_kills: self.oom_kills(),
        }
    }

    /// How many of its processes the kernel has killed because its memory was full.
    pub fn oom_kills(&self) -> u64 {
        let memory = &self.hierarchies.memory;
        let file = match memory.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        self.keyed(memory, file, "oom_kill")
    }

    /// Why its processes have ended. Must be asked before the cgroup is removed.
    pub fn end_reason(&self) -> EndReason {
        if self.oom_kills() == 0 { EndReason::Exited } else { EndReason::Oom }
    }

    pub(super) fn text(&self, hierarchy: &Hierarchy, name: &str) -> String {
        fs::read_to_string(self.file(hierarchy, name)).unwrap_or_default()
    }

    pub(super) fn number(&self, hierarchy: &Hierarchy, name: &str) -> u64 {
        self.text(hierarchy, name).trim().parse().unwrap_or_default()
    }

    /// The number after `key` in a file of `key number` lines.
    pub(super) fn keyed(&self, hierarchy: &Hierarchy, name: &str, key: &str) -> u64 {
        let text = self.text(hierarchy, name);
        let value = text.lines().filter_map(|line| line.split_once(' ')).find(|(found, _)| *found == key);
        value.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or_default()
    }
}
