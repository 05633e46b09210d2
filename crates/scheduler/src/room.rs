//! How much a node has, and what of it is promised.

use sentinal_model::{Cpu, Memory, limits};

use crate::Overcommit;

/// A node's resources at one moment. Promises are the limits of the sandboxes placed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Cores, in thousandths.
    pub cpu_milli_total: u64,
    /// Promised cores, in thousandths.
    pub cpu_milli_promised: u64,
    /// Memory in bytes.
    pub memory_bytes_total: u64,
    /// Memory that could be had without swapping when the node measured.
    pub memory_bytes_available: u64,
    /// Promised memory in bytes.
    pub memory_bytes_promised: u64,
    /// What of the promised memory no measurement can have seen yet: that of sandboxes which were not up then. Any of
    /// it may be in use by now.
    pub memory_bytes_unmeasured: u64,
    /// How much the host's tasks wait for memory; `None` where its kernel does not say.
    pub memory_pressure: Option<Pressure>,
    /// Disk in bytes.
    pub disk_bytes_total: u64,
    /// Free disk in bytes.
    pub disk_bytes_available: u64,
    /// Sandboxes placed there.
    pub sandboxes: usize,
}

/// How much of the last seconds was waited for something, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pressure {
    /// By some task.
    pub some_percent: u32,
    /// By all tasks at once.
    pub full_percent: u32,
}

impl Room {
    /// The same with one sandbox of this size fewer.
    #[must_use]
    pub fn without(&self, cpu: Cpu, memory: Memory) -> Self {
        Self {
            cpu_milli_promised: self.cpu_milli_promised.saturating_sub(cpu.milli().into()),
            memory_bytes_promised: self.memory_bytes_promised.saturating_sub(memory.bytes()),
            sandboxes: self.sandboxes.saturating_sub(1),
            ..*self
        }
    }

    /// Memory that is available for certain.
    pub const fn memory_bytes_left(&self) -> u64 {
        self.memory_bytes_available.saturating_sub(self.memory_bytes_unmeasured)
    }

    /// Why a sandbox of this size does not fit now; `None` if it does. The overcommit rule: limits may add up to
    /// more than there is, as long as what is really available stays above its floor.
    pub fn refusal(&self, cpu: Cpu, memory: Memory, overcommit: Overcommit) -> Option<String> {
        self.promises(cpu, memory, overcommit)
            .or_else(|| self.measurements(memory, overcommit.memory_available_percent))
    }

    fn promises(&self, cpu: Cpu, memory: Memory, overcommit: Overcommit) -> Option<String> {
        let cpu_milli_max = self.cpu_milli_total.saturating_mul(overcommit.cpu);
        let memory_bytes_max = self.memory_bytes_total.saturating_mul(overcommit.memory);
        if self.sandboxes >= overcommit.sandboxes {
            return Some(format!("it has {} sandboxes, the most it may have", self.sandboxes));
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
        None
    }

    fn measurements(&self, memory: Memory, percent: u64) -> Option<String> {
        if below(self.memory_bytes_available, self.memory_bytes_total, percent) {
            return Some(format!("less than {percent} % of its memory is available"));
        }
        if below(self.memory_bytes_left().saturating_sub(memory.bytes()), self.memory_bytes_total, percent) {
            let (available, unmeasured) = (self.memory_bytes_available >> 20, self.memory_bytes_unmeasured >> 20);
            return Some(format!(
                "less than {percent} % of its memory may be left: {available} MiB are available, {unmeasured} MiB of them \
                 promised to sandboxes that are coming up, and {memory} more was asked for"
            ));
        }
        if let Some(waited) = self.memory_pressure.and_then(Pressure::refusal) {
            return Some(waited);
        }
        if below(self.disk_bytes_available, self.disk_bytes_total, limits::DISK_AVAILABLE_PERCENT_MIN) {
            return Some(format!("less than {} % of its disk is free", limits::DISK_AVAILABLE_PERCENT_MIN));
        }
        None
    }
}

impl Pressure {
    fn refusal(self) -> Option<String> {
        let (some_max, full_max) = (limits::MEMORY_PRESSURE_SOME_PERCENT_MAX, limits::MEMORY_PRESSURE_FULL_PERCENT_MAX);
        let Self { some_percent, full_percent } = self;
        (some_max < some_percent || full_max < full_percent).then(|| {
            format!(
                "its programs wait for memory: some of them {some_percent} % of the time (at most {some_max}), all of \
                 them {full_percent} % (at most {full_max})"
            )
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn room() -> Room {
        Room {
            cpu_milli_total: 2000,
            cpu_milli_promised: 0,
            memory_bytes_total: 10 * GIB,
            memory_bytes_available: 8 * GIB,
            memory_bytes_promised: 0,
            memory_bytes_unmeasured: 0,
            memory_pressure: None,
            disk_bytes_total: 100 * GIB,
            disk_bytes_available: 50 * GIB,
            sandboxes: 0,
        }
    }

    fn check(room: Room, reason: Option<&str>) {
        let memory = Memory::try_from_bytes(GIB).unwrap();
        let refusal = room.refusal(Cpu::try_from_cores(1.0).unwrap(), memory, Overcommit::default());
        match reason {
            Some(reason) => assert!(refusal.as_ref().is_some_and(|why| why.contains(reason)), "{refusal:?}: {reason}"),
            None => assert_eq!(refusal, None, "{room:?}"),
        }
    }

    #[test]
    fn a_node_is_full_for_one_reason_at_a_time() {
        check(room(), None);
        check(Room { sandboxes: limits::SANDBOXES_PER_NODE_MAX, ..room() }, Some("sandboxes"));
        check(Room { cpu_milli_promised: 31_000, ..room() }, None);
        check(Room { cpu_milli_promised: 31_001, ..room() }, Some("its cpu is promised: 31.001 of at most 32.000"));
        check(Room { memory_bytes_promised: 39 * GIB, ..room() }, None);
        check(Room { memory_bytes_promised: 39 * GIB + 1, ..room() }, Some("its memory is promised"));
        check(Room { memory_bytes_available: GIB - 1, ..room() }, Some("is available"));
        check(Room { disk_bytes_available: 3 * GIB, ..room() }, None);
        check(Room { disk_bytes_available: 3 * GIB - 1, ..room() }, Some("disk"));
    }

    #[test]
    fn what_no_measurement_has_seen_counts_as_taken() {
        check(Room { memory_bytes_unmeasured: 6 * GIB, ..room() }, None);
        check(Room { memory_bytes_unmeasured: 6 * GIB + 1, ..room() }, Some("may be left: 8192 MiB are available"));
        check(Room { memory_bytes_unmeasured: u64::MAX, ..room() }, Some("may be left"));
    }

    #[test]
    fn a_host_that_waits_for_memory_takes_nothing_more() {
        let under = |some_percent, full_percent| Room {
            memory_pressure: Some(Pressure { some_percent, full_percent }),
            ..room()
        };
        check(under(40, 10), None);
        check(under(41, 0), Some("some of them 41 % of the time (at most 40)"));
        check(under(11, 11), Some("all of them 11 %"));
    }

    #[test]
    fn the_operator_may_promise_less() {
        let refusal = |overcommit| {
            room().refusal(Cpu::try_from_cores(4.0).unwrap(), Memory::try_from_bytes(GIB).unwrap(), overcommit)
        };
        assert_eq!(refusal(Overcommit { cpu: 2, memory: 1, sandboxes: 1, ..Overcommit::default() }), None);
        assert!(refusal(Overcommit { cpu: 1, ..Overcommit::default() }).unwrap().contains("cpu"));
        assert!(refusal(Overcommit { sandboxes: 0, ..Overcommit::default() }).unwrap().contains("sandboxes"));
    }
}
