//! Sandboxes as clients ask for them.

use std::time::Duration;

use sentinal_model::{Cpu, Disk, EngineChoice, EngineName, ImageName, Labels, Memory, Pool, Spec};

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

/// The pool that is kept.
pub(crate) fn pool(size: usize) -> Pool {
    let Spec { cpu, memory, disk, image, .. } = like_pooled(Duration::ZERO);
    Pool { engine: EngineName::Gvisor, image, cpu, memory, disk, size }
}

/// One that a pool can serve.
pub(crate) fn like_pooled(ttl: Duration) -> Spec {
    sandbox(2, 512, ttl)
}

/// One of any size, often what a pool has; now and then one that does not live long, or may not be idle for long.
pub(crate) fn any_sandbox(world: &World) -> Spec {
    let ttl = if world.chance(3000) { world.millis(1000..20_000) } else { world.millis(60_000..300_000) };
    let idle_timeout = world.chance(1500).then(|| world.millis(1000..30_000));
    let spec = if 0 < world.plan.pool && world.chance(6000) {
        like_pooled(ttl)
    } else {
        sandbox(world.pick(1..8), world.pick(1..8_u64) * 256, ttl)
    };
    Spec { idle_timeout, ..spec }
}
