//! The host under the node: what really runs on it, whatever anybody believes. It outlives every process but itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use sentinal_agent_protocol::{ENV_DEADLINE_MS, ENV_TOKEN};
use sentinal_engine::{BootSpec, EndReason, InstanceState};
use sentinal_model::{ExecutionId, ExecutionOutcome, SandboxId};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::world::{World, lock};

/// What really became of sandboxes and programs.
#[derive(Debug)]
pub(crate) struct Machine {
    world: Arc<World>,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    instances: BTreeMap<SandboxId, Instance>,
    /// Sandboxes whose instance came to harm from outside, and how.
    harmed: BTreeMap<SandboxId, BTreeSet<Harm>>,
    programs: BTreeMap<ExecutionId, Truth>,
    starts: u64,
    boots: u64,
}

/// One instance.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) state: InstanceState,
    pub(crate) dead: CancellationToken,
    pub(crate) token: [u8; 32],
    pub(crate) socket_folder: PathBuf,
    /// When its agent ends it.
    pub(crate) ends_at: Instant,
    number: u64,
}

/// What can happen to an instance that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Harm {
    Exited,
    Oom,
    Lost,
    HostRestarted,
    /// Its agent's deadline, which is no harm at all.
    Deadline,
}

/// What really became of a program.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Truth {
    pub(crate) starts: u32,
    pub(crate) outcome: Option<ExecutionOutcome>,
    pub(crate) written: [u64; 2],
}

impl Machine {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, state: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// An engine begins to boot.
    pub(crate) fn begin(&self, spec: &BootSpec) -> Instance {
        let instance = {
            let mut state = lock(&self.state);
            if let Some(there) = state.instances.get(&spec.id) {
                self.world.wrong(format_args!("two instances for {}: {there:?} and another", spec.id));
            }
            state.boots += 1;
            // A new instance, which nothing has happened to.
            state.harmed.remove(&spec.id);
            let instance = Instance::new(spec, state.boots);
            state.instances.insert(spec.id, instance.clone());
            instance
        };
        self.changed();
        instance
    }

    /// The instance has come so far, if it is still there.
    pub(crate) fn put(&self, id: SandboxId, instance: &Instance, now: InstanceState) {
        if let Some(known) = lock(&self.state).instances.get_mut(&id)
            && known.number == instance.number
        {
            known.state = now;
        }
        self.changed();
    }

    pub(crate) fn get(&self, id: &SandboxId) -> Option<Instance> {
        lock(&self.state).instances.get(id).cloned()
    }

    /// Returns when the instance does not stand still.
    pub(crate) async fn moves(&self, id: &SandboxId) {
        let mut changes = self.changes();
        while self.get(id).is_some_and(|instance| instance.state == InstanceState::Paused) {
            // Not an error: `self` holds the sender.
            let _ = changes.changed().await;
        }
    }

    pub(crate) fn all(&self) -> Vec<(SandboxId, Instance)> {
        lock(&self.state).instances.iter().map(|(id, instance)| (*id, instance.clone())).collect()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Nothing is left of the instance.
    pub(crate) fn remove(&self, id: &SandboxId) -> bool {
        let removed = lock(&self.state).instances.remove(id);
        let there = removed.is_some();
        if let Some(removed) = removed {
            removed.dead.cancel();
        }
        self.changed();
        there
    }

    /// The instance ends by itself, or vanishes.
    pub(crate) fn harm(&self, id: SandboxId, harm: Harm) {
        self.world.tell(format_args!("machine: {id} {harm:?}"));
        lock(&self.state).harmed.entry(id).or_default().insert(harm);
        let ended = match harm {
            Harm::Exited | Harm::Deadline => EndReason::Exited,
            Harm::Oom => EndReason::Oom,
            Harm::Lost | Harm::HostRestarted => {
                self.remove(&id);
                return;
            }
        };
        if let Some(instance) = lock(&self.state).instances.get_mut(&id) {
            instance.state = InstanceState::Ended(ended);
            instance.dead.cancel();
        }
        self.changed();
    }

    /// Nothing of what ran outlives a restart of the host, and of what came to harm before nobody can tell the difference.
    pub(crate) fn restart(&self) {
        for (id, _) in self.all() {
            self.harm(id, Harm::HostRestarted);
        }
        for harms in lock(&self.state).harmed.values_mut() {
            harms.insert(Harm::HostRestarted);
        }
    }

    pub(crate) fn harms(&self, id: &SandboxId) -> BTreeSet<Harm> {
        lock(&self.state).harmed.get(id).cloned().unwrap_or_default()
    }

    /// A program was started.
    pub(crate) fn started(&self, id: ExecutionId) {
        let starts = {
            let mut state = lock(&self.state);
            state.starts += 1;
            let truth = state.programs.entry(id).or_default();
            truth.starts += 1;
            truth.starts
        };
        if 1 < starts {
            self.world.wrong(format_args!("{id} was started {starts} times"));
        }
    }

    /// A program has ended by itself.
    pub(crate) fn ended(&self, id: ExecutionId, outcome: ExecutionOutcome, written: [u64; 2]) {
        let mut state = lock(&self.state);
        let truth = state.programs.entry(id).or_default();
        (truth.outcome, truth.written) = (Some(outcome), written);
    }

    pub(crate) fn truth(&self, id: ExecutionId) -> Truth {
        lock(&self.state).programs.get(&id).copied().unwrap_or_default()
    }

    /// How many programs were started and how many instances were booted.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = lock(&self.state);
        (state.starts, state.boots)
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

impl Instance {
    fn new(spec: &BootSpec, number: u64) -> Self {
        let deadline = Duration::from_millis(variable(spec, ENV_DEADLINE_MS).parse().unwrap_or(0));
        Self {
            state: InstanceState::Partial,
            dead: CancellationToken::new(),
            token: token(variable(spec, ENV_TOKEN)),
            socket_folder: spec.socket_folder.clone(),
            ends_at: Instant::now() + deadline,
            number,
        }
    }
}

fn variable<'a>(spec: &'a BootSpec, name: &str) -> &'a str {
    spec.agent_env.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

fn token(text: &str) -> [u8; 32] {
    std::array::from_fn(|index| {
        text.get(2 * index..2 * index + 2).map_or(0, |hex| u8::from_str_radix(hex, 16).unwrap_or(0))
    })
}
