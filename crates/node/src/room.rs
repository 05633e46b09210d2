//! How much this host has and how much of it is free.

mod cgroup;
mod meminfo;
mod pressure;

use std::{fs, io, path::Path};

use sentinal_node_protocol::Room;

use crate::Hardware;

/// The machine that this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ThisMachine;

impl Hardware for ThisMachine {
    /// Affinity and cgroup quotas count.
    fn cores(&self) -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }

    fn room(&self, state_folder: &Path) -> io::Result<Room> {
        measure(state_folder)
    }
}

fn measure(state_folder: &Path) -> io::Result<Room> {
    let memory = meminfo::parse(&fs::read_to_string("/proc/meminfo")?);
    let limit = cgroup::memory_limit();
    let disk = rustix::fs::statvfs(state_folder)?;
    // What is kept for the superuser alone is no room for anybody.
    let used = disk.f_blocks.saturating_sub(disk.f_bfree);
    Ok(Room {
        cpu_milli_total: u32::try_from(ThisMachine.cores()).unwrap_or(u32::MAX).saturating_mul(1000),
        memory_bytes_total: memory.total.min(limit.map_or(u64::MAX, |limit| limit.total)),
        memory_bytes_available: memory.available.min(limit.map_or(u64::MAX, |limit| limit.available)),
        disk_bytes_total: used.saturating_add(disk.f_bavail).saturating_mul(disk.f_frsize),
        disk_bytes_available: disk.f_bavail.saturating_mul(disk.f_frsize),
        memory_pressure: pressure::measure()?,
    })
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Memory {
    total: u64,
    available: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_something() {
        let room = measure(Path::new("/")).unwrap();
        assert!(1000 <= room.cpu_milli_total);
        assert!(0 < room.memory_bytes_available && room.memory_bytes_available <= room.memory_bytes_total);
        assert!(room.disk_bytes_available <= room.disk_bytes_total && 0 < room.disk_bytes_total);
    }
}
