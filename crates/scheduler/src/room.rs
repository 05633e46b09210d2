//! How much a node has, and what of it is promised.

use sentinal_model::{Cpu, Memory, limits};

/// A node's resources at one moment. Promises are the limits of the sandboxes placed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Cores, in thousandths.
    pub cpu_milli_total: u64,
    /// Promised cores, in thousandths.
    pub cpu_milli_promised: u64,
    /// Memory in bytes.
    pub memory_bytes_total: u64,
    /// Memory that could be had now without swapping.
    pub memory_bytes_available: u64,
    /// Promised memory in bytes.
    pub memory_bytes_promised: u64,
    /// Disk in bytes.
    pub disk_bytes_total: u64,
    /// Free disk in bytes.
    pub disk_bytes_available: u64,
    /// Sandboxes placed there.
    pub sandboxes: usize,
}

impl Room {
    /// Why a sandbox of this size does not fit now; `None` if it does. The overcommit rule: limits may add up to
    /// more than there is, as long as what is really available stays above its floor.
    pub fn refusal(&self, cpu: Cpu, memory: Memory) -> Option<String> {
        let cpu_milli_max = self.cpu_milli_total.saturating_mul(limits::CPU_OVERCOMMIT);
        let memory_bytes_max = self.memory_bytes_total.saturating_mul(limits::MEMORY_OVERCOMMIT);
        if self.sandboxes >= limits::SANDBOXES_PER_NODE_MAX {
            return Some(format!("it has {} sandboxes, the most a node may have", self.sandboxes));
        }
        if self.cpu_milli_promised.saturating_add(cpu.milli().into()) > cpu_milli_max {
            let promised =
                format!("{} of at most {}", thousandths(self.cpu_milli_promised), thousandths(cpu_milli_max));
            return Some(format!("its cpu is promised: {promised} cores, and {cpu} more were asked for"));
        }
        if self.memory_bytes_promised.saturating_add(memory.bytes()) > memory_bytes_max {
            let promised = format!("{} of at most {} MiB", self.memory_bytes_promised >> 20, memory_bytes_max >> 20);
            return Some(format!("its memory is promised: {promised}, and {memory} more was asked for"));
        }
        if below(self.memory_bytes_available, self.memory_bytes_total, limits::MEMORY_AVAILABLE_PERCENT_MIN) {
            return Some(format!("less than {} % of its memory is available", limits::MEMORY_AVAILABLE_PERCENT_MIN));
        }
        if below(self.disk_bytes_available, self.disk_bytes_total, limits::DISK_AVAILABLE_PERCENT_MIN) {
            return Some(format!("less than {} % of its disk is free", limits::DISK_AVAILABLE_PERCENT_MIN));
        }
        None
    }
}

/// Whether `part` is less than `percent` of `total`.
fn below(part: u64, total: u64, percent: u64) -> bool {
    u128::from(part) * 100 < u128::from(total) * u128::from(percent)
}

/// A number of thousandths as a decimal number.
fn thousandths(milli: u64) -> String {
    format!("{}.{:03}", milli / 1000, milli % 1000)
}
