//! An engine on the simulated machine, as one run of the node uses it. What it has begun on the machine goes on without
//! that node.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sentinal_engine::{
    BootSpec, EndReason, Engine, EngineError, Instance as Found, InstanceState, InstanceUsage, ProbeFailure,
    ProbeReport,
};
use sentinal_model::{EngineName, SandboxId};
use tokio::{sync::oneshot, time::sleep};

use crate::{agent, ledger::Ledger, life::Life, machine::Machine, network::Network, sabotage::Sabotage, world::World};

/// The engine of one run of the node.
#[derive(Debug, Clone)]
pub(crate) struct SimEngine {
    pub(crate) world: Arc<World>,
    pub(crate) life: Life,
    pub(crate) machine: Arc<Machine>,
    pub(crate) network: Arc<Network>,
    pub(crate) ledger: Arc<Ledger>,
}

const USAGE: InstanceUsage = InstanceUsage {
    cpu_us: 1000,
    memory_bytes: 2 << 20,
    memory_peak_bytes: 3 << 20,
    disk_bytes: 4096,
    processes: 2,
    oom_kills: 0,
};

impl SimEngine {
    /// A verb may fail or hang before it has done anything.
    async fn trouble(&self, what: &'static str) -> Result<(), EngineError> {
        self.world.step(&self.life, what).await;
        if self.world.fails(self.world.plan.engine_hangs) {
            self.world.tell(format_args!("engine: {what} hangs"));
            std::future::pending::<()>().await;
        }
        if self.world.fails(self.world.plan.disk_full) {
            return Err(EngineError::NoSpace { what: "the sandbox's disk".to_owned() });
        }
        if self.world.fails(self.world.plan.engine_fails) {
            return Err(failed(what));
        }
        Ok(())
    }

    /// What the engine's own child processes do: they do not need the node.
    async fn boot_outside(self, spec: BootSpec) -> Result<(), EngineError> {
        if let Err(why) = self.ledger.may_boot(&spec.id) {
            self.world.wrong(format_args!("an instance without a row: {} is booted, {why}", spec.id));
        }
        let instance = self.machine.begin(&spec);
        if self.world.sabotaged(Sabotage::EngineBootsTwice) {
            self.machine.begin(&spec);
        }
        let booting = async {
            sleep(self.world.millis(1..200)).await;
            if self.world.fails(self.world.plan.engine_fails) {
                return Err(failed("boot, half-way"));
            }
            self.machine.put(spec.id, &instance, InstanceState::Running);
            if self.world.sabotaged(Sabotage::EngineLosesInstances) {
                let (machine, after) = (Arc::clone(&self.machine), self.world.millis(500..5000));
                tokio::spawn(async move {
                    sleep(after).await;
                    machine.remove(&spec.id);
                });
            }
            tokio::spawn(agent::live(self.world.clone(), self.machine.clone(), self.network.clone(), spec.id));
            Ok(())
        };
        let booted = instance.dead.run_until_cancelled(booting).await;
        booted.unwrap_or_else(|| Err(failed("boot, which was halted")))
    }

    /// What is alive is paused or goes on.
    fn change(&self, id: &SandboxId, now: InstanceState) -> Result<(), EngineError> {
        let alive = |state| matches!(state, InstanceState::Running | InstanceState::Paused);
        let instance = self.machine.get(id).filter(|instance| alive(instance.state));
        let instance = instance.ok_or(EngineError::NotFound(*id))?;
        self.machine.put(*id, &instance, now);
        Ok(())
    }
}

fn failed(what: &str) -> EngineError {
    EngineError::Child { program: what.to_owned(), status: "exit status: 1".to_owned(), stderr: "told to".to_owned() }
}

#[async_trait]
impl Engine for SimEngine {
    fn name(&self) -> EngineName {
        EngineName::Gvisor
    }

    async fn probe(&self) -> Result<ProbeReport, ProbeFailure> {
        let failed = |error: EngineError| ProbeFailure::Failed { what: "probe".to_owned(), detail: error.to_string() };
        self.trouble("probe").await.map_err(failed)?;
        Ok(ProbeReport { version: "simulated 1".to_owned(), took: Duration::from_millis(1) })
    }

    fn can_rest(&self) -> bool {
        true
    }

    async fn boot(&self, spec: &BootSpec) -> Result<(), EngineError> {
        self.trouble("engine boots").await?;
        let (done, booted) = oneshot::channel();
        let outside = self.clone().boot_outside(spec.clone());
        tokio::spawn(async move {
            // Nobody may be waiting any more.
            let _ = done.send(outside.await);
        });
        let booted = booted.await.unwrap_or_else(|_| Err(failed("boot")));
        self.world.step(&self.life, "engine booted").await;
        booted
    }

    async fn halt(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
        self.trouble("engine halts").await?;
        if self.world.sabotaged(Sabotage::EngineHaltsNothing) {
            return Ok(USAGE);
        }
        if self.world.fails(self.world.plan.engine_fails) {
            // Half of it: dead, but not gone.
            if let Some(instance) = self.machine.get(id) {
                instance.dead.cancel();
                self.machine.put(*id, &instance, InstanceState::Partial);
            }
            return Err(failed("halt, half-way"));
        }
        let existed = self.machine.remove(id);
        self.world.step(&self.life, "engine halted").await;
        Ok(if existed { USAGE } else { InstanceUsage::default() })
    }

    async fn pause(&self, id: &SandboxId) -> Result<(), EngineError> {
        self.trouble("engine pauses").await?;
        self.change(id, InstanceState::Paused)
    }

    async fn resume(&self, id: &SandboxId) -> Result<(), EngineError> {
        self.trouble("engine resumes").await?;
        self.change(id, InstanceState::Running)
    }

    async fn list(&self) -> Result<Vec<Found>, EngineError> {
        self.trouble("engine lists").await?;
        Ok(self.machine.all().into_iter().map(|(id, instance)| Found { id, state: instance.state }).collect())
    }

    async fn stats(&self, id: &SandboxId) -> Result<InstanceUsage, EngineError> {
        self.trouble("engine measures").await?;
        self.machine.get(id).map(|_| USAGE).ok_or(EngineError::NotFound(*id))
    }

    async fn ended(&self, id: &SandboxId) -> Result<EndReason, EngineError> {
        self.world.step(&self.life, "engine watches").await;
        if self.world.fails(self.world.plan.engine_fails) {
            return Err(failed("watch"));
        }
        let mut changes = self.machine.changes();
        loop {
            self.life.alive().await;
            match self.machine.get(id).map(|instance| instance.state) {
                Some(InstanceState::Ended(reason)) => return Ok(reason),
                None => return Err(EngineError::NotFound(*id)),
                Some(InstanceState::Running | InstanceState::Paused | InstanceState::Partial) => {}
            }
            // Not an error: the machine holds the sender.
            let _ = changes.changed().await;
        }
    }
}
