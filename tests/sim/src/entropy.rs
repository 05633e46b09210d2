//! Ids and tokens that a seed repeats.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use sentinal_controller::Entropy;
use sentinal_model::{ContextId, ExecutionId, Result, SandboxId};

use crate::world::World;

/// The dice of the simulation. Ids count up, as time does; servers that follow one another share this.
#[derive(Debug)]
pub(crate) struct Dice {
    world: Arc<World>,
    ids: AtomicU64,
}

impl Dice {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, ids: AtomicU64::new(1) }
    }

    fn id(&self) -> [u8; 16] {
        u128::from(self.ids.fetch_add(1, Relaxed)).to_be_bytes()
    }
}

impl Entropy for Dice {
    fn sandbox(&self) -> SandboxId {
        SandboxId::from_bytes(self.id())
    }

    fn execution(&self) -> ExecutionId {
        ExecutionId::from_bytes(self.id())
    }

    fn context(&self) -> ContextId {
        ContextId::from_bytes(self.id())
    }

    fn token(&self) -> Result<[u8; 32]> {
        Ok(self.world.bytes())
    }
}
