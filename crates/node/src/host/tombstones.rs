//! The generations of halted sandboxes, for requests that arrive late. Bounded in number and age.

use std::collections::BTreeMap;

use sentinal_model::{Generation, SandboxId};
use tokio::time::Instant;

use crate::limits::{TOMBSTONE_AGE_MAX, TOMBSTONES_MAX};

/// One per sandbox; each has a number, and a later one a higher number.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    by_id: BTreeMap<SandboxId, Tombstone>,
    by_number: BTreeMap<u64, SandboxId>,
    next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Tombstone {
    number: u64,
    generation: Generation,
    buried: Instant,
}

impl Tombstones {
    /// Remembers that everything up to `generation` is over.
    pub(super) fn bury(&mut self, id: SandboxId, generation: Generation, now: Instant) {
        let generation = self.seen(&id).map_or(generation, |seen| seen.max(generation));
        self.remove(id);
        self.next += 1;
        self.by_id.insert(id, Tombstone { number: self.next, generation, buried: now });
        self.by_number.insert(self.next, id);
        self.forget_old(now);
    }

    /// The newest generation seen of a halted sandbox.
    pub(super) fn seen(&self, id: &SandboxId) -> Option<Generation> {
        self.by_id.get(id).map(|tombstone| tombstone.generation)
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(id) = self.by_number.values().next().copied() {
            let age = self.by_id.get(&id).map(|oldest| now.saturating_duration_since(oldest.buried));
            let fresh = age.is_some_and(|age| age <= TOMBSTONE_AGE_MAX);
            if fresh && self.by_id.len() <= TOMBSTONES_MAX {
                return;
            }
            self.remove(id);
        }
    }

    fn remove(&mut self, id: SandboxId) {
        if let Some(tombstone) = self.by_id.remove(&id) {
            self.by_number.remove(&tombstone.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn id(number: u128) -> SandboxId {
        SandboxId::from_bytes(number.to_be_bytes())
    }

    #[test]
    fn the_newest_generation_stays() {
        let now = Instant::now();
        let mut tombstones = Tombstones::default();
        tombstones.bury(id(1), Generation(5), now);
        tombstones.bury(id(1), Generation(3), now);
        assert_eq!(tombstones.seen(&id(1)), Some(Generation(5)));
        assert_eq!(tombstones.seen(&id(2)), None);
    }

    #[test]
    fn the_old_ones_are_forgotten() {
        let now = Instant::now();
        let mut tombstones = Tombstones::default();
        tombstones.bury(id(1), Generation(1), now);
        tombstones.bury(id(2), Generation(1), now);
        tombstones.bury(id(1), Generation(2), now + TOMBSTONE_AGE_MAX);
        tombstones.bury(id(3), Generation(1), now + TOMBSTONE_AGE_MAX + Duration::from_secs(1));
        assert_eq!(tombstones.seen(&id(1)), Some(Generation(2)));
        assert_eq!(tombstones.seen(&id(2)), None);
    }

    #[test]
    fn there_are_never_too_many() {
        let now = Instant::now();
        let mut tombstones = Tombstones::default();
        for number in 0..=u128::try_from(TOMBSTONES_MAX).unwrap() {
            tombstones.bury(id(number), Generation(1), now);
            tombstones.bury(id(7), Generation(2), now);
        }
        assert!(tombstones.by_number.len() <= TOMBSTONES_MAX && tombstones.by_id.len() <= TOMBSTONES_MAX);
        assert_eq!(tombstones.seen(&id(0)), None);
        assert_eq!(tombstones.seen(&id(7)), Some(Generation(2)));
    }
}
