//! Sandboxes as clients ask for them.

use std::time::Duration;

use sentinal_model::{Cpu, Disk, EngineChoice, ImageName, Labels, Memory, Spec};

use crate::world::World;

/// A sandbox of this size.
pub(crate) fn sandbox(cores: u32, memory_mib: u64, ttl: Duration) -> Spec {
    Spec {
        engine: EngineChoice::Auto,
        cpu: Cpu::try_from_cores(f64::from(cores)).expect("a size within the limits"),
        memory: Memory::try_from_bytes(memory_mib << 20).expect("a size within the limits"),
        disk: Disk::try_from_bytes(16 << 20).expect("a size within the limits"),
        image: ImageName::default(),
        ttl,
        idle_timeout: None,
        labels: Labels::default(),
    }
}

/// One of any size; now and then one that does not live long, or may not be idle for long.
pub(crate) fn any_sandbox(world: &World) -> Spec {
    let ttl = if world.chance(3000) { world.millis(1000..20_000) } else { world.millis(60_000..300_000) };
    let idle_timeout = world.chance(1500).then(|| world.millis(1000..30_000));
    Spec { idle_timeout, ..sandbox(world.pick(1..8), world.pick(1..8_u64) * 256, ttl) }
}
