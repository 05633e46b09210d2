//! Warm pools: sandboxes that are booted before anybody asks.
//!
//! A pooled sandbox is a row like any other, with a mark that says what it was booted from and with nobody as its
//! tenant, so no caller can see it. It has a ttl of its own, it is adopted after a restart, and it ends when its pool
//! is gone from the configuration or what it was booted from has changed.
//!
//! - `claim` is how a create gets one: taken under the table's lock, made its own in one commit;
//! - `plan` is pure: what is there and what is wanted make what should be booted and what should end;
//! - `keep` is the task that does so, out of the way of what callers ask for;
//! - `rehearse` is what a pooled sandbox does before it is ready.

mod claim;
mod keep;
mod plan;
mod rehearse;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sentinal_model::{EngineName, ImageName};
use sentinal_node_protocol::{NodeView, Probe};
use sentinal_store::Build;
use tokio::{sync::Notify, time::Instant};

pub(crate) use claim::{Owner, promised, waiting, yielding};
pub(crate) use keep::keep;
pub(crate) use rehearse::rehearse;

/// What callers and the keeper of the pools know of each other.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    changed: Notify,
    asked: Mutex<Option<Instant>>,
}

impl Pools {
    /// Somebody has asked for a sandbox, or has just got one.
    pub(crate) fn asked(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long ago that was.
    fn quiet_for(&self) -> Duration {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.map_or(Duration::MAX, |asked| asked.elapsed())
    }

    /// Something has changed that the keeper may have to act on.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }
}

/// What a sandbox would be booted from now; `None` while that cannot be told.
fn build(view: &NodeView, engine: EngineName, image: &ImageName) -> Option<Build> {
    let image = view.images.iter().find(|known| known.name == *image)?.digest.clone();
    let probe = &view.engines.iter().find(|known| known.name == engine)?.probe;
    let Probe::Available { version } = probe else { return None };
    let agent = Some(view.agent_digest.clone()).filter(|digest| !digest.is_empty())?;
    Some(Build { image, agent, engine: version.clone() })
}
