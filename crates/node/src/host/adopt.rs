//! What the node finds when it starts: its own records, and what the engines have.
//!
//! | record | engine has it | becomes |
//! |---|---|---|
//! | booting, up, paused | running | up, watched |
//! | booting, up, paused | paused | paused, watched |
//! | up, paused | ended | ended: expired if its ttl is over, idle if its idle timeout is, else with the engine's reason |
//! | up, paused | partly or not | the same, as exited |
//! | booting | else | booting: the server decides |
//! | ended | not | the same |
//! | ended | else | the same, and ended in fact: the node before wrote it down and did not come to it |
//! | placed, halting | whatever | the same |
//! | none or unreadable | anything | an orphan: listed as partial, with generation zero |
//!
//! From before a restart of the host, `up` becomes ended, and engines remove what they left lying about.

use std::{collections::BTreeMap, sync::Arc};

use sentinal_engine::{EndReason as Gone, InstanceState as Found};
use sentinal_model::{EngineName, Generation, SandboxId};
use sentinal_node_protocol::{EndReason, InstanceState};
use tokio::time::{sleep, timeout};

use super::{Host, end::why, entry::Slot, hold::Held};
use crate::{
    error::NodeError,
    folder::Kept,
    limits,
    record::{Record, Stage},
};

/// What one engine has; `None` if it did not say.
type Listed = Option<BTreeMap<SandboxId, Found>>;

/// What an engine has of one sandbox.
#[derive(Debug, Clone, Copy)]
enum Sighting {
    Found(Found),
    Nothing,
    /// The engine did not say.
    Unknown,
}

impl Sighting {
    fn of(id: &SandboxId, listed: Option<&Listed>) -> Self {
        match listed {
            Some(Some(all)) => all.get(id).copied().map_or(Self::Nothing, Self::Found),
            Some(None) | None => Self::Unknown,
        }
    }
}

impl Host {
    /// Takes over everything that exists. Afterwards [`Host::list`] is complete, except for what an engine
    /// had that could not list: it is asked again in the background.
    pub(crate) async fn adopt(self: &Arc<Self>) -> Result<(), NodeError> {
        let mut listed = BTreeMap::new();
        for name in self.engines.names() {
            listed.insert(name, self.ask(name).await);
        }
        let ids = self.folder.all().map_err(NodeError::files("list its instances"))?;
        for id in ids {
            self.adopt_folder(id, &listed).await?;
        }
        for (name, listed) in listed {
            match listed {
                Some(found) => self.adopt_orphans(name, &found).await,
                None => self.ask_again(name),
            }
        }
        Ok(())
    }

    async fn ask(&self, name: EngineName) -> Listed {
        let engine = self.engine(name).ok()?;
        match timeout(limits::LIST_DEADLINE, engine.list()).await {
            Ok(Ok(found)) => Some(found.into_iter().map(|instance| (instance.id, instance.state)).collect()),
            Ok(Err(error)) => {
                tracing::error!(engine = %name, %error, "engine cannot list its instances");
                None
            }
            Err(_) => {
                tracing::error!(engine = %name, "engine did not list its instances in time");
                None
            }
        }
    }

    fn ask_again(self: &Arc<Self>, name: EngineName) {
        let host = Arc::clone(self);
        let asking = self.beside(async move {
            loop {
                sleep(limits::LIST_INTERVAL).await;
                if let Some(found) = host.ask(name).await {
                    return host.adopt_orphans(name, &found).await;
                }
            }
        });
        drop(asking.detach());
    }

    async fn adopt_folder(
        self: &Arc<Self>,
        id: SandboxId,
        listed: &BTreeMap<EngineName, Listed>,
    ) -> Result<(), NodeError> {
        let folder = self.folder.instance(&id);
        let kept = self.on_disk(move || folder.read()).await.map_err(NodeError::files("read a record"))?;
        let record = match kept {
            Kept::Record(record) if record.id == id => self.make_again(record).await,
            Kept::Nothing => return self.remove_empty(id).await,
            Kept::Record(_) => return self.adopt_unreadable(id, "it is another sandbox's", listed).await,
            Kept::Unreadable(why) => return self.adopt_unreadable(id, &why.to_string(), listed).await,
        };
        let entry = self.table.find_or_admit(id, record.generation)?;
        let mut held = Held::of(entry).await;
        let sighting = Sighting::of(&id, listed.get(&record.engine));
        let stage = self.stage_now(&record, sighting);
        let changed = stage != record.stage;
        let from_before = record.host_boot_id != self.boot_id;
        held.keep(record.at(stage));
        if changed {
            self.note(&mut held, record.at(stage)).await;
        }
        match (record.stage, sighting) {
            (Stage::Ended(reason), Sighting::Found(_) | Sighting::Unknown) => self.finish_end(&mut held, reason),
            _ => self.start_timer(&mut held),
        }
        if stage.is_up() {
            self.start_watcher(&mut held);
        } else if from_before {
            self.tidy(held, record.engine);
        }
        tracing::info!(sandbox = %id, was = record.stage.as_str(), is = stage.as_str(), "instance adopted");
        Ok(())
    }

    fn stage_now(&self, record: &Record, sighting: Sighting) -> Stage {
        let now = self.clock.now();
        if record.host_boot_id != self.boot_id {
            return after_host_restart(record.stage);
        }
        match (record.stage, sighting) {
            (Stage::Booting | Stage::Up | Stage::Paused, Sighting::Found(Found::Running)) => Stage::Up,
            (Stage::Booting | Stage::Up | Stage::Paused, Sighting::Found(Found::Paused)) => Stage::Paused,
            (Stage::Up | Stage::Paused, Sighting::Found(Found::Ended(reason))) => {
                Stage::Ended(why(record, reason, now))
            }
            (Stage::Up | Stage::Paused, Sighting::Found(Found::Partial) | Sighting::Nothing) => {
                Stage::Ended(why(record, Gone::Exited, now))
            }
            (stage, _) => stage,
        }
    }

    /// The server may be another user than before.
    async fn make_again(&self, record: Box<Record>) -> Box<Record> {
        let folder = self.folder.instance(&record.id);
        if let Err(error) = self.on_disk(move || folder.make()).await {
            tracing::error!(sandbox = %record.id, %error, "instance folder cannot be handed to the server");
        }
        record
    }

    /// Removes in the background what an engine left from before the host's restart; the record stays.
    fn tidy(self: &Arc<Self>, held: Held, engine: EngineName) {
        let host = Arc::clone(self);
        let tidying = self.beside(async move {
            if let Err(error) = host.halt_engine(engine, &held.entry.id()).await {
                tracing::warn!(sandbox = %held.entry.id(), %error, "remains from before the host's restart stay");
            }
            drop(held);
        });
        drop(tidying.detach());
    }

    /// Nothing was begun that was not undone.
    async fn remove_empty(&self, id: SandboxId) -> Result<(), NodeError> {
        let folder = self.folder.instance(&id);
        self.on_disk(move || folder.remove()).await.map_err(NodeError::files("remove an empty folder"))
    }

    async fn adopt_unreadable(
        self: &Arc<Self>,
        id: SandboxId,
        why: &str,
        listed: &BTreeMap<EngineName, Listed>,
    ) -> Result<(), NodeError> {
        tracing::error!(sandbox = %id, why, "record cannot be used; the instance is listed as partial");
        let has = |listed: &Listed| listed.as_ref().is_some_and(|found| found.contains_key(&id));
        let found = listed.iter().find(|(_, listed)| has(listed)).map(|(name, _)| *name);
        match found.or_else(|| self.engines.names().next()) {
            Some(engine) => self.adopt_orphan(id, engine).await,
            None => Ok(()),
        }
    }

    async fn adopt_orphans(self: &Arc<Self>, engine: EngineName, found: &BTreeMap<SandboxId, Found>) {
        for id in found.keys().filter(|id| self.table.get(id).is_none() && !self.table.was_halted(id)) {
            if let Err(error) = self.adopt_orphan(*id, engine).await {
                tracing::error!(sandbox = %id, %error, "instance without a record cannot be taken over");
            }
        }
    }

    async fn adopt_orphan(self: &Arc<Self>, id: SandboxId, engine: EngineName) -> Result<(), NodeError> {
        let entry = self.table.find_or_admit(id, Generation(0))?;
        let mut held = Held::of(entry).await;
        if !matches!(*held.slot, Slot::Empty) {
            return Ok(());
        }
        *held.slot = Slot::Orphan { engine, timer: None };
        held.entry.show(engine, InstanceState::Partial);
        self.start_timer(&mut held);
        tracing::warn!(sandbox = %id, %engine, "instance without a record found");
        Ok(())
    }
}

const fn after_host_restart(stage: Stage) -> Stage {
    match stage {
        Stage::Up | Stage::Paused => Stage::Ended(EndReason::HostRestarted),
        Stage::Placed | Stage::Booting | Stage::Ended(_) | Stage::Halting => stage,
    }
}
