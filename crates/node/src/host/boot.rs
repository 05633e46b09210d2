//! Booting what was placed.

use std::{fmt::Write as _, sync::Arc};

use sentinal_agent_protocol::{ENV_DEADLINE_MS, ENV_EPOCH, ENV_IDLE_MS, ENV_TOKEN};
use sentinal_engine::BootSpec;
use sentinal_model::limits::{BOOT_DEADLINE, BOOT_TURN_DEADLINE};
use sentinal_node_protocol::{AgentToken, Boot};
use tokio::time::{Instant, timeout_at};

use super::{Host, hold::Held, wrong_state};
use crate::{
    error::NodeError,
    limits,
    record::{Record, Stage},
};

impl Host {
    /// Boots a placed sandbox; one that is up stays as it is. A halt meanwhile ends it at once.
    pub(crate) async fn boot(self: Arc<Self>, boot: Boot) -> Result<(), NodeError> {
        let asked = Instant::now();
        let not_here = NodeError::NotFound { id: boot.id };
        let entry = self.table.find(boot.id, boot.generation)?.ok_or(not_here)?;
        let mut held = timeout_at(asked + BOOT_DEADLINE, Held::of(entry)).await.map_err(|_| late())?;
        held.still_asked(boot.generation)?;
        let record = held.record().cloned().ok_or(NodeError::NotFound { id: boot.id })?;
        match record.stage {
            Stage::Up | Stage::Paused => return Ok(()),
            Stage::Placed => {}
            stage @ (Stage::Booting | Stage::Ended(_) | Stage::Halting) => return Err(wrong_state(boot.id, stage)),
        }
        let halting = held.entry.halting.clone();
        let weight = record.cpu.milli().clamp(limits::BOOT_CPU_MILLI_MIN, limits::BOOT_CPU_MILLI_MAX);
        let turn = tokio::select! {
            biased;
            () = halting.cancelled() => return Err(NodeError::Halted { id: boot.id }),
            turn = timeout_at(asked + BOOT_TURN_DEADLINE, self.boots.acquire_many(weight)) => turn.map_err(|_| busy())?,
        };
        // The agent counts from its start, the server from when it asked.
        let boot = Boot { agent_deadline: boot.agent_deadline.saturating_sub(asked.elapsed()), ..boot };
        let booted = self.boot_in_turn(&mut held, &record, &boot).await;
        drop(turn);
        booted
    }

    async fn boot_in_turn(self: &Arc<Self>, held: &mut Held, record: &Record, boot: &Boot) -> Result<(), NodeError> {
        let began = Instant::now();
        let until = began + BOOT_DEADLINE;
        let record =
            Record { generation: boot.generation, host_boot_id: self.boot_id.clone(), ..record.at(Stage::Booting) };
        self.write(held, record.clone()).await?;
        self.call_engine(held, &self.spec(&record, boot), until).await?;
        self.write(held, Record { busy_until: self.clock.now(), ..record.at(Stage::Up) }).await?;
        self.start_timer(held);
        self.start_watcher(held);
        let boot_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(sandbox = %boot.id, engine = %record.engine, boot_ms, "sandbox booted");
        Ok(())
    }

    async fn call_engine(&self, held: &Held, spec: &BootSpec, until: Instant) -> Result<(), NodeError> {
        let record = held.record().ok_or(NodeError::NotFound { id: spec.id })?;
        let probed = self.probed(record.engine)?;
        let failed = tokio::select! {
            biased;
            () = held.entry.halting.cancelled() => return Err(NodeError::Halted { id: spec.id }),
            booted = timeout_at(until, probed.engine().boot(spec)) => match booted {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => NodeError::engine(record.engine, "boot")(error),
                Err(_) => late(),
            },
        };
        if !matches!(failed, NodeError::NoSpace { .. }) {
            probed.suspect();
        }
        Err(failed)
    }

    fn spec(&self, record: &Record, boot: &Boot) -> BootSpec {
        let folder = self.folder.instance(&record.id);
        BootSpec {
            id: record.id,
            folder: folder.engine(),
            image: record.image.path.clone(),
            agent: self.agent.path().to_owned(),
            socket_folder: folder.host(),
            agent_env: agent_env(record, boot),
            cpu: record.cpu,
            memory: record.memory,
            disk: record.disk,
        }
    }
}

fn agent_env(record: &Record, boot: &Boot) -> Vec<(String, String)> {
    let mut env = vec![
        (ENV_TOKEN.to_owned(), hex(&boot.token)),
        (ENV_EPOCH.to_owned(), boot.epoch.to_string()),
        (ENV_DEADLINE_MS.to_owned(), boot.agent_deadline.as_millis().to_string()),
    ];
    env.extend(record.idle_timeout.map(|idle| (ENV_IDLE_MS.to_owned(), idle.as_millis().to_string())));
    env
}

fn hex(token: &AgentToken) -> String {
    token.0.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Others are booting all the time.
const fn busy() -> NodeError {
    NodeError::Late { what: "a turn to boot the sandbox", deadline: BOOT_TURN_DEADLINE }
}

const fn late() -> NodeError {
    NodeError::Late { what: "the boot of the sandbox", deadline: BOOT_DEADLINE }
}
