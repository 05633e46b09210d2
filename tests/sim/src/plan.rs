//! What a seed has in store: how many clients, and which kinds of trouble how often. Most seeds have some kinds and
//! lack others: what only goes wrong while all the rest goes well is found that way, too.

use std::ops::Range;

use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::sabotage::Sabotage;

/// How often something goes wrong, in ten thousand times.
pub(crate) type Rate = u32;

/// One seed's circumstances.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// What is broken on purpose.
    pub(crate) sabotage: Sabotage,
    pub(crate) clients: u32,
    pub(crate) steps: u32,
    /// Crashes at a step of the process that crashes.
    pub(crate) crash: Rate,
    pub(crate) crashes_max: u32,
    pub(crate) slow: Rate,
    pub(crate) slow_ms: Range<u64>,
    /// The store fails before a commit, after it, or in a read.
    pub(crate) store: Rate,
    /// Disks are full: the store's, the node's, that of the output.
    pub(crate) disk_full: Rate,
    /// Requests to the node, and answers, that are lost.
    pub(crate) lost: Rate,
    /// Requests that arrive once more, later.
    pub(crate) repeated: Rate,
    /// Verbs of the engine that fail, and that hang.
    pub(crate) engine_fails: Rate,
    pub(crate) engine_hangs: Rate,
    /// Connections of agents that are cut in the middle of something.
    pub(crate) cut: Rate,
    /// Connections over which nothing comes for a while.
    pub(crate) stall: Rate,
    /// Clients that leave before the answer.
    pub(crate) leave: Rate,
    /// What happens by itself between the clients' steps.
    pub(crate) events: u32,
    pub(crate) kinds: Vec<Kind>,
    /// How many sandboxes are kept booted for whoever asks; 0 for no pool.
    pub(crate) pool: usize,
}

/// What can happen by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Processes are killed.
    Kills,
    /// Instances end, or vanish.
    Harm,
    /// The wall clock jumps.
    Jumps,
    /// The host goes down and comes up again.
    HostRestarts,
}

/// In what part of all seeds each kind of thing happens.
const KINDS: [(Kind, f64); 4] = [(Kind::Kills, 0.6), (Kind::Harm, 0.4), (Kind::Jumps, 0.3), (Kind::HostRestarts, 0.15)];

/// What an agent may take for an answer, at least.
const PATIENCE_MS: u64 = 3000;

/// In what part of all seeds there is a pool.
const POOLS: f64 = 0.4;

impl Plan {
    /// Whether such things happen at all.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether an agent may take so long for an answer that it is given up.
    pub(crate) fn agents_may_be_silent(&self) -> bool {
        0 < self.stall || PATIENCE_MS < self.slow_ms.end
    }

    pub(crate) fn of(seed: u64, sabotage: Sabotage) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x9e37_79b9_7f4a_7c15);
        let mut some = |rates: &[Rate]| rates[rng.random_range(0..rates.len())];
        let crash = some(&[0, 20, 60, 200]);
        let slow = some(&[100, 800, 3000]);
        let store = some(&[0, 0, 100, 500]);
        let disk_full = some(&[0, 0, 100, 500]);
        let lost = some(&[0, 0, 100, 500]);
        let repeated = some(&[0, 0, 200, 1000]);
        let engine_fails = some(&[0, 0, 300, 1500]);
        let engine_hangs = some(&[0, 0, 0, 200]);
        let cut = some(&[0, 0, 1000, 4000]);
        let stall = some(&[0, 0, 0, 20]);
        let leave = some(&[0, 0, 500]);
        let slow_ms = if rng.random_bool(0.2) { 1..8000 } else { 0..40 };
        Self {
            seed,
            sabotage,
            clients: rng.random_range(1..=2),
            steps: rng.random_range(3..=8),
            crash,
            crashes_max: rng.random_range(1..=5),
            slow,
            slow_ms,
            store,
            disk_full,
            lost,
            repeated,
            engine_fails,
            engine_hangs,
            cut,
            stall,
            leave,
            events: rng.random_range(0..=5),
            kinds: KINDS.into_iter().filter(|(_, often)| rng.random_bool(*often)).map(|(kind, _)| kind).collect(),
            pool: if rng.random_bool(POOLS) { rng.random_range(1..=3) } else { 0 },
        }
    }
}
