//! An engine without a host: instances are entries of a map. What a real engine can do wrong, this one does
//! when told to. Clones share their instances, as two runs of `node` share a host.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use sentinal_model::{EngineName, SandboxId};
use tokio::sync::watch;

use crate::{
    BootSpec, EndReason, Engine, EngineError, Instance, InstanceState, InstanceUsage, ProbeFailure, ProbeReport,
};

/// How a verb behaves from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// As it should.
    #[default]
    Works,
    /// It does half of its work, then fails.
    Fails,
    /// It finds the disk full.
    FindsDiskFull,
    /// It does half of its work, then never returns.
    Hangs,
}

/// A verb that can be told how to behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// [`Engine::probe`].
    Probe,
    /// [`Engine::boot`].
    Boot,
    /// [`Engine::halt`].
    Halt,
    /// [`Engine::pause`].
    Pause,
    /// [`Engine::resume`].
    Resume,
    /// [`Engine::rest`].
    Rest,
    /// [`Engine::rouse`].
    Rouse,
    /// [`Engine::list`].
    List,
    /// [`Engine::ended`].
    Ended,
}

/// An engine in memory.
#[derive(Debug, Clone)]
pub struct FakeEngine {
    name: EngineName,
    host: Arc<Mutex<FakeHost>>,
    /// Counts changes, so that waiting verbs look again.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct FakeHost {
    instances: BTreeMap<SandboxId, FakeInstance>,
    behaviours: BTreeMap<Verb, Behaviour>,
    calls: Vec<(Verb, Option<SandboxId>)>,
}

#[derive(Debug, Clone)]
struct FakeInstance {
    state: InstanceState,
    spec: Option<BootSpec>,
}

impl FakeEngine {
    /// An engine of that name with no instances.
    pub fn new(name: EngineName) -> Self {
        Self { name, host: Arc::default(), changes: watch::Sender::new(0) }
    }

    /// From now on `verb` behaves so; calls that wait already are not affected.
    pub fn set(&self, verb: Verb, behaviour: Behaviour) {
        self.host().behaviours.insert(verb, behaviour);
    }

    /// The instance ends by itself.
    pub fn end(&self, id: &SandboxId, reason: EndReason) {
        self.put(*id, InstanceState::Ended(reason));
    }

    /// An instance that nobody booted through this engine.
    pub fn put(&self, id: SandboxId, state: InstanceState) {
        let spec = self.spec(&id);
        self.host().instances.insert(id, FakeInstance { state, spec });
        self.changed();
    }

    /// The instance vanishes, as after a restart of the host.
    pub fn lose(&self, id: &SandboxId) {
        self.host().instances.remove(id);
        self.changed();
    }

    /// What the instance was booted from; `None` if there is no such instance.
    pub fn spec(&self, id: &SandboxId) -> Option<BootSpec> {
        self.host().instances.get(id).and_then(|instance| instance.spec.clone())
    }

    /// How much of the instance exists.
    pub fn state(&self, id: &SandboxId) -> Option<InstanceState> {
        self.host().instances.get(id).map(|instance| instance.state)
    }

    /// How often `verb` was called, with any sandbox.
    pub fn calls(&self, verb: Verb) -> usize {
        self.host().calls.iter().filter(|(called, _)| *called == verb).count()
    }

    /// Returns when `verb` has been called `times` times; for tests that must not run ahead.
    pub async fn called(&self, verb: Verb, times: usize) {
        let mut changes = self.changes.subscribe();
        // Not an error: `self` holds the sender.
        let _ = changes.wait_for(|_| times <= self.calls(verb)).await;
    }

    fn host(&self) -> MutexGuard<'_, FakeHost> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn begin(&self, verb: Verb, id: Option<SandboxId>) -> Behaviour {
        let behaviour = {
            let mut host = self.host();
            host.calls.push((verb, id));
            host.behaviours.get(&verb).copied().unwrap_or_default()
        };
        self.changed();
        behaviour
    }

    /// To another state of being alive.
    fn change(&self, id: &SandboxId, state: InstanceState) -> Result<(), EngineError> {
        match self.state(id) {
            Some(InstanceState::Running | InstanceState::Paused) => {
                self.put(*id, state);
                Ok(())
            }
            Some(InstanceState::Partial | InstanceState::Ended(_)) | None => Err(EngineError::NotFound(*id)),
        }
    }

    fn remove(&self, id: &SandboxId) -> InstanceUsage {
        let existed = self.host().instances.remove(id).is_some();
        self.changed();
        if existed { usage() } else { InstanceUsage::default() }
    }
}

/// The end of a verb that was told how to behave.
async fn conclude(behaviour: Behaviour) -> Result<(), EngineError> {
    match behaviour {
        Behaviour::Works => Ok(()),
        Behaviour::FindsDiskFull => Err(EngineError::NoSpace { what: "the sandbox's disk".to_owned() }),
        Behaviour::Hangs => pending().await,
        Behaviour::Fails => Err(EngineError::Child {
            program: "fake".to_owned(),
            status: "exit status: 1".to_owned(),
            stderr: "told to fail".to_owned(),
        }),
    }
}

const fn usage() -> InstanceUsage {
    InstanceUsage {
        cpu_us: 1000,
        memory_bytes: 2 << 20,
        memory_peak_bytes: 3 << 20,
        disk_bytes: 4096,
        processes: 2,
        oom_kills: 0,
    }
}

#[async_trait]
impl Engine for FakeEngine {
    fn name(&self) -> EngineName {
        self.name
    }

    async fn probe(&self) -> Result<ProbeReport, ProbeFailure> {
        let failed = |error: EngineError| ProbeFailure::Failed { what: "fake".to_owned(), detail: error.to_string() };
        conclude(self.begin(Verb::Probe, None)).await.map_err(failed)?;
        Ok(ProbeReport { version: "fake 1".to_owned(), took: Duration::from_millis(1) })
    }

    fn can_rest(&self) -> bool {
        true
    }

    async fn boot(&self, spec: &BootSpec) -> Result<(), EngineError> {
        let behaviour = self.begin(Verb::Boot, Some(spec.id));
        let partial = FakeInstance { state: InstanceState::Partial, spec: Some(spec.clone()) };
        self.host().instances.insert(spec.id, partial);
        conclude(behaviour).await?;
        self.put(spec.id, InstanceState::Running);
        Ok(())
    }

    async fn halt(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
        conclude(self.begin(Verb::Halt, Some(*id))).await?;
        Ok(self.remove(id))
    }

    async fn pause(&self, id: &SandboxId) -> Result<(), EngineError> {
        conclude(self.begin(Verb::Pause, Some(*id))).await?;
        self.change(id, InstanceState::Paused)
    }

    async fn resume(&self, id: &SandboxId) -> Result<(), EngineError> {
        conclude(self.begin(Verb::Resume, Some(*id))).await?;
        self.change(id, InstanceState::Running)
    }

    async fn rest(&self, id: &SandboxId) -> Result<(), EngineError> {
        conclude(self.begin(Verb::Rest, Some(*id))).await
    }

    async fn rouse(&self, id: &SandboxId) -> Result<(), EngineError> {
        conclude(self.begin(Verb::Rouse, Some(*id))).await
    }

    async fn list(&self) -> Result<Vec<Instance>, EngineError> {
        conclude(self.begin(Verb::List, None)).await?;
        let instances =
            self.host().instances.iter().map(|(id, found)| Instance { id: *id, state: found.state }).collect();
        Ok(instances)
    }

    async fn stats(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
        self.state(id).map(|_| usage()).ok_or(EngineError::NotFound(*id))
    }

    async fn ended(&self, id: &SandboxId) -> Result<EndReason, EngineError> {
        conclude(self.begin(Verb::Ended, Some(*id))).await?;
        let mut changes = self.changes.subscribe();
        loop {
            match self.state(id) {
                Some(InstanceState::Ended(reason)) => return Ok(reason),
                None => return Err(EngineError::NotFound(*id)),
                Some(InstanceState::Running | InstanceState::Paused | InstanceState::Partial) => {}
            }
            // Not an error: `self` holds the sender.
            let _ = changes.changed().await;
        }
    }
}
