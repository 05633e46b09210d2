//! The life of sandboxes, as the fake has it.

use async_trait::async_trait;
use sentinal_auth::{CreateSandbox, DestroySandbox, PauseSandbox, Permit, ReadSandbox, ResumeSandbox, UpdateSandbox};
use sentinal_controller::{Created, HostUsage, NewSandbox, Page, SandboxFilter, SandboxRecord};
use sentinal_gateway::AskSandboxes;
use sentinal_model::{End, Event, Phase, Result, SandboxId, SandboxUpdate};

use super::{Fake, NOW};

#[async_trait]
impl AskSandboxes for Fake {
    async fn create(&self, _: &Permit<CreateSandbox>, new: NewSandbox) -> Result<Created> {
        self.failure()?;
        Ok(Created { record: self.insert(new.spec), is_replay: new.once.is_some() })
    }

    async fn sandbox(&self, _: &Permit<ReadSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.known(id)
    }

    async fn sandboxes(
        &self,
        _: &Permit<ReadSandbox>,
        _: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Result<Vec<SandboxRecord>> {
        let state = self.state();
        let older = state.sandboxes.values().rev().filter(|record| page.after.is_none_or(|after| record.id < after));
        Ok(older.take(usize::try_from(page.rows_max).unwrap()).cloned().collect())
    }

    async fn stats(&self, _: &Permit<ReadSandbox>, id: SandboxId) -> Result<(SandboxRecord, HostUsage)> {
        Ok((self.known(id)?, HostUsage { cpu_us: 812_500, processes: 12, ..HostUsage::default() }))
    }

    async fn destroy(&self, _: &Permit<DestroySandbox>, id: SandboxId) -> Result<SandboxRecord> {
        let mut record = self.known(id)?;
        record.phase = Phase::Finished(End::Destroyed);
        record.finished_at = Some(NOW);
        self.state().sandboxes.insert(id, record.clone());
        Ok(record)
    }

    async fn update(&self, _: &Permit<UpdateSandbox>, id: SandboxId, update: SandboxUpdate) -> Result<SandboxRecord> {
        let mut record = self.known(id)?;
        if let Some(ttl) = update.ttl {
            record.expires_at = NOW.after(ttl);
        }
        self.state().sandboxes.insert(id, record.clone());
        Ok(record)
    }

    async fn pause(&self, _: &Permit<PauseSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.changed(id, Event::Paused)
    }

    async fn resume(&self, _: &Permit<ResumeSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.changed(id, Event::Resumed)
    }
}
