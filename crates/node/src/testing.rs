//! What tests of this crate share: a host on a temporary folder with an engine in memory.

use sentinal_model::{Cpu, Disk, EngineName, Generation, ImageName, Memory, Millis, SandboxId};
use sentinal_node_protocol::Place;

/// When tests begin, on the wall clock.
pub(crate) const NOW: Millis = Millis(1_700_000_000_000);

/// A request as any other, for five minutes.
pub(crate) fn place(id: SandboxId, generation: Generation) -> Place {
    Place {
        id,
        generation,
        engine: EngineName::Gvisor,
        image: ImageName::default(),
        cpu: Cpu::try_from_cores(1.0).unwrap(),
        memory: Memory::try_from_bytes(512 << 20).unwrap(),
        disk: Disk::try_from_bytes(1 << 30).unwrap(),
        expires_at: Millis(NOW.0 + 300_000),
    }
}
