//! Sandboxes, and what must be true of each answer about them.

use std::time::Duration;

use sentinal_auth::{CreateSandbox, DestroySandbox, PauseSandbox, ReadSandbox, ResumeSandbox};
use sentinal_controller::{Controller, Created, NewSandbox, Page, SandboxFilter, SandboxRecord};
use sentinal_engine::InstanceState;
use sentinal_model::{Code, Phase, SandboxId, Spec};

use super::{Client, PATIENCE};
use crate::{permits::permit, wish};

impl Client {
    pub(super) async fn create(&mut self) {
        let wait = if self.site.world.chance(3000) { Duration::ZERO } else { Duration::from_secs(30) };
        self.create_as(wish::any_sandbox(&self.site.world), wait).await;
    }

    /// What the pool has.
    pub(crate) async fn create_like_pooled(&mut self) -> Option<SandboxId> {
        self.create_as(wish::like_pooled(Duration::from_secs(60)), Duration::from_secs(30)).await
    }

    async fn create_as(&mut self, spec: Spec, wait: Duration) -> Option<SandboxId> {
        let create = |controller: Controller, once| {
            let (permit, new) = (permit::<CreateSandbox>(), NewSandbox { spec: spec.clone(), wait, once });
            async move { controller.create(&permit, new).await }
        };
        let id = |created: &Created| created.record.id.to_string();
        let Created { record, .. } = self.ask_once("create", wait + PATIENCE, create, id).await?;
        if record.spec != spec {
            self.site.world.wrong(format_args!("{} is {:?}, and was to be {spec:?}", record.id, record.spec));
        }
        self.created(&record);
        Some(record.id)
    }

    /// An acknowledged sandbox is in the store.
    fn created(&mut self, record: &SandboxRecord) {
        self.site.world.tell(format_args!("client {}: has {}", self.number, record.id));
        self.site.journal.sandbox(record.id, |_| {});
        self.sandboxes.push(record.id);
        self.got(record.id);
    }

    /// A sandbox that somebody has got is in the store as theirs, and nobody else has got it.
    pub(super) fn got(&self, id: SandboxId) {
        if !self.site.journal.given(id) {
            self.site.world.wrong(format_args!("{id} was handed out twice"));
        }
        match self.site.ledger.find(&id) {
            Some(stored) if stored.pooled.is_some() => {
                self.site.world.wrong(format_args!("{id} was acknowledged, and is nobody's"));
            }
            None if !self.site.ledger.was_removed(&id) => {
                self.site.world.wrong(format_args!("{id} was acknowledged, and there is no row of it"));
            }
            Some(_) | None => {}
        }
    }

    pub(crate) async fn destroy(&mut self, sandbox: SandboxId) {
        self.site.journal.unwanted(sandbox);
        let permit = permit::<DestroySandbox>();
        let destroy = |controller: Controller| async move { controller.destroy(&permit, sandbox).await };
        let Some(answer) = self.ask("destroy", PATIENCE, destroy).await else { return };
        let stored = self.site.ledger.find(&sandbox);
        let gone = stored.as_ref().is_none_or(|record| record.phase.is_finished());
        let promised = match &answer {
            Ok(record) => record.phase.is_finished(),
            Err(error) => error.code() == Code::NotFound,
        };
        if promised && !gone {
            self.site.world.wrong(format_args!("{sandbox} is said to have ended; the store has {stored:?}"));
        }
        if answer.as_ref().is_ok_and(|record| !matches!(record.phase, Phase::Stopping(..) | Phase::Finished(_))) {
            self.site.world.wrong(format_args!("{sandbox} was to be destroyed, and is {answer:?}"));
        }
        if promised {
            self.site.journal.sandbox(sandbox, |promise| promise.ended = true);
            self.sandboxes.retain(|id| *id != sandbox);
        }
    }

    /// Stands still for a while, and goes on.
    pub(super) async fn pause(&self, sandbox: SandboxId) {
        let permit = permit::<PauseSandbox>();
        let pause = |controller: Controller| async move { controller.pause(&permit, sandbox).await };
        if let Some(Ok(record)) = self.ask("pause", PATIENCE, pause).await {
            self.site.journal.pause(sandbox, true);
            self.is_turned(&record, InstanceState::Paused);
        }
        tokio::time::sleep(self.site.world.millis(0..8000)).await;
        self.resume(sandbox).await;
    }

    /// Nothing in a sandbox that goes on stands still.
    pub(crate) async fn resume(&self, sandbox: SandboxId) {
        self.site.journal.pause(sandbox, false);
        let permit = permit::<ResumeSandbox>();
        let resume = |controller: Controller| async move { controller.resume(&permit, sandbox).await };
        if let Some(Ok(record)) = self.ask("resume", PATIENCE, resume).await {
            self.is_turned(&record, InstanceState::Running);
        }
    }

    /// What was acknowledged is so on the machine, unless something has happened since.
    fn is_turned(&self, record: &SandboxRecord, expected: InstanceState) {
        let there = self.site.machine.get(&record.id).map(|instance| instance.state);
        let unchanged = self.site.ledger.find(&record.id).is_some_and(|stored| stored.phase == record.phase);
        let is_alive = matches!(there, Some(InstanceState::Running | InstanceState::Paused));
        if unchanged && is_alive && there != Some(expected) {
            self.site.world.wrong(format_args!("{} is said to be {expected:?}, and is {there:?}", record.id));
        }
    }

    /// What was acknowledged can be looked at.
    pub(crate) async fn look(&self, sandbox: SandboxId) -> Option<SandboxRecord> {
        let permit = permit::<ReadSandbox>();
        let look = |controller: Controller| async move { controller.sandbox(&permit, sandbox).await };
        match self.ask("look", PATIENCE, look).await? {
            Ok(record) => Some(record),
            Err(error) => {
                if error.code() == Code::NotFound && !self.site.ledger.was_removed(&sandbox) {
                    self.site.world.wrong(format_args!("{sandbox} was acknowledged, and nobody knows of it"));
                }
                None
            }
        }
    }

    pub(super) async fn list(&self) {
        let permit = permit::<ReadSandbox>();
        let page = Page { after: None, rows_max: 100 };
        let all = SandboxFilter::default();
        let list = |controller: Controller| async move { controller.sandboxes(&permit, &all, page).await };
        // The rest of what is in it was looked at when it was committed.
        let Some(Ok(records)) = self.ask("list", PATIENCE, list).await else { return };
        if let Some(pooled) = records.iter().find(|record| record.pooled.is_some()) {
            self.site.world.wrong(format_args!("{} is nobody's, and is listed", pooled.id));
        }
    }

    /// What waits in a pool is not there for anybody, even if they know its id.
    pub(super) async fn look_into_the_pool(&self) {
        let is_pooled = |record: &SandboxRecord| record.pooled.is_some();
        let Some(pooled) = self.site.ledger.unfinished().into_iter().find(is_pooled) else { return };
        let permit = permit::<ReadSandbox>();
        let look = |controller: Controller| async move { controller.sandbox(&permit, pooled.id).await };
        let answer = self.ask("look into the pool", PATIENCE, look).await;
        if matches!(answer, Some(Ok(_))) && self.site.ledger.find(&pooled.id).as_ref().is_some_and(is_pooled) {
            self.site.world.wrong(format_args!("{} is nobody's, and is shown: {answer:?}", pooled.id));
        }
    }
}
