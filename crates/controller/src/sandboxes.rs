//! Creating, looking at and ending sandboxes.

use std::{sync::Arc, time::Duration};

use sentinal_auth::{CreateSandbox, DestroySandbox, Permit, ReadSandbox};
use sentinal_model::{Code, End, Error, Event, Made, Phase, Result, SandboxId, TenantId};
use sentinal_node_protocol::HostUsage;
use sentinal_store::{Page, SandboxFilter, SandboxRecord};
use sentinal_telemetry::Origin;
use tokio::time::{Instant, timeout};

use crate::{
    api::{Controller, Created, NewSandbox},
    begin::{Kind, begin},
    entry::{Change, Entry},
    events,
    idempotency::{self, Outcome},
};

/// How long a destroy waits for the end before it answers `stopping`.
const DESTROY_WAIT: Duration = Duration::from_secs(20);

impl Controller {
    /// Acknowledges a sandbox durably and waits up to `wait` for it to run. Answers it as it is then: `running`,
    /// or `pending` if it took longer. The same request again is answered with the same sandbox. A boot that failed within `wait` is an error; so is a spec that nothing can serve.
    pub async fn create(&self, permit: &Permit<CreateSandbox>, new: NewSandbox) -> Result<Created> {
        let asked = Instant::now();
        let (context, caller) = (Arc::clone(&self.context), permit.caller().clone());
        let NewSandbox { spec, wait, once } = new;
        let make = |mark| async move { begin(&context, &caller, (spec, Kind::Kept), mark).await };
        let entry = match idempotency::once(&self.context, permit.tenant(), once, make).await? {
            Outcome::New(entry) => entry,
            Outcome::Again(made) => return self.created_before(permit.tenant(), made, wait).await,
        };
        let record = running(&entry, wait).await?;
        if record.phase.state() == sentinal_model::State::Running {
            self.context.metrics().sandbox_created(asked.elapsed());
        }
        Ok(Created { record: SandboxRecord::clone(&record), is_replay: false })
    }

    /// Answers a request again: as when it was made, if the sandbox is still there, and else how it ended.
    async fn created_before(&self, tenant: &TenantId, made: Made, wait: Duration) -> Result<Created> {
        let Made::Sandbox(id) = made else { return Err(idempotency::forgotten(made)) };
        let record = match self.known(tenant, id) {
            Some(entry) => SandboxRecord::clone(&*running(&entry, wait).await?),
            None => self.context.store().sandbox(id).await?.ok_or_else(|| idempotency::forgotten(made))?,
        };
        if let Phase::Finished(end @ End::Failed(_)) = record.phase {
            return Err(ended(&record, end));
        }
        Ok(Created { record, is_replay: true })
    }

    /// A sandbox as it is, or as it was until the end of the retention time.
    pub async fn sandbox(&self, permit: &Permit<ReadSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        if let Some(entry) = self.known(permit.tenant(), id) {
            return Ok(SandboxRecord::clone(&entry.record()));
        }
        let stored = self.context.store().sandbox(id).await?;
        stored.filter(|record| record.tenant == *permit.tenant()).ok_or_else(|| unknown(id))
    }

    /// Sandboxes, newest first.
    pub async fn sandboxes(
        &self,
        permit: &Permit<ReadSandbox>,
        filter: &SandboxFilter,
        page: Page<SandboxId>,
    ) -> Result<Vec<SandboxRecord>> {
        self.context.store().sandboxes(permit.tenant(), filter, page).await
    }

    /// What the host has counted for a sandbox that runs or is paused, with its record.
    pub async fn stats(&self, permit: &Permit<ReadSandbox>, id: SandboxId) -> Result<(SandboxRecord, HostUsage)> {
        let record = self.entry(permit.tenant(), id).await?.record();
        match &record.phase {
            Phase::Running(_) | Phase::Paused(_) => {}
            Phase::Pending | Phase::Booting(_) | Phase::Stopping(..) | Phase::Finished(_) => {
                return Err(not_running(&record).unwrap_or_else(|| unknown(id)));
            }
        }
        let usage = self.context.node().stats(id).await?;
        Ok((SandboxRecord::clone(&record), usage))
    }

    /// Ends a sandbox and answers when nothing is left of it, or `stopping` if that takes long. `not_found` if it had
    /// already ended.
    pub async fn destroy(&self, permit: &Permit<DestroySandbox>, id: SandboxId) -> Result<SandboxRecord> {
        let asked = Instant::now();
        let entry = self.entry(permit.tenant(), id).await?;
        entry.asked_by(Origin::here());
        let event = events::sandbox_destroyed(&entry.record(), End::Destroyed, self.context.now());
        let change = Change { event: Some(event), ..Change::default() };
        entry.advance(&self.context, Event::Stop(End::Destroyed), change).await?;
        let mut records = entry.records();
        let record = match timeout(DESTROY_WAIT, records.wait_for(|record| record.phase.is_finished())).await {
            Ok(Ok(record)) => Arc::clone(&record),
            Ok(Err(_)) | Err(_) => entry.record(),
        };
        self.context.metrics().sandbox_destroyed(asked.elapsed());
        Ok(SandboxRecord::clone(&record))
    }

    /// A sandbox that is not finished and the tenant's own.
    pub(crate) async fn entry(&self, tenant: &TenantId, id: SandboxId) -> Result<Arc<Entry>> {
        if let Some(entry) = self.context.table.get(id)
            && entry.record().pooled.is_some()
            && entry.is_in_doubt()
        {
            // The store may have it as somebody's, although its claim was answered with an error.
            entry.clear_doubt(&self.context).await?;
        }
        self.known(tenant, id).ok_or_else(|| unknown(id))
    }

    fn known(&self, tenant: &TenantId, id: SandboxId) -> Option<Arc<Entry>> {
        let entry = self.context.table.get(id).filter(|entry| entry.record().tenant == *tenant)?;
        (!entry.record().phase.is_finished()).then_some(entry)
    }
}

/// Waits until the sandbox runs. `Ok` with a pending record when `wait` is over; an error when it ended instead.
pub(crate) async fn running(entry: &Entry, wait: Duration) -> Result<Arc<SandboxRecord>> {
    let mut records = entry.records();
    let settled = records.wait_for(|record| !matches!(record.phase, Phase::Pending | Phase::Booting(_)));
    let record = match timeout(wait, settled).await {
        Ok(Ok(record)) => Arc::clone(&record),
        Ok(Err(_)) | Err(_) => return Ok(entry.record()),
    };
    match &record.phase {
        Phase::Stopping(_, end) | Phase::Finished(end) => Err(ended(&record, *end)),
        Phase::Pending | Phase::Booting(_) | Phase::Running(_) | Phase::Paused(_) => Ok(record),
    }
}

fn ended(record: &SandboxRecord, end: End) -> Error {
    let why = if record.message.is_empty() { end.as_str() } else { &record.message };
    match end {
        End::Failed(_) => Error::new(Code::Unavailable, format!("sandbox {} did not come up: {why}", record.id)),
        End::Destroyed | End::Expired | End::Idle => {
            Error::new(Code::Conflict, format!("sandbox {} ended before it was up: {}", record.id, end.as_str()))
        }
    }
}

/// What a call gets that needs a sandbox to run which does not; `None` if it does.
pub(crate) fn not_running(record: &SandboxRecord) -> Option<Error> {
    let (id, state) = (record.id, record.phase.state());
    match &record.phase {
        Phase::Running(_) => None,
        Phase::Paused(_) => {
            let message = format!("sandbox {id} is paused; resume it first: POST /api/v1/sandbox/{id}/resume");
            Some(Error::new(Code::Conflict, message))
        }
        Phase::Pending | Phase::Booting(_) | Phase::Stopping(..) | Phase::Finished(_) => {
            let message = format!("sandbox {id} is still {state}; try again, or wait longer for it");
            Some(Error::new(Code::Unavailable, message))
        }
    }
}

/// What a call gets that names a sandbox which is not there, or not any more.
pub(crate) fn unknown(id: SandboxId) -> Error {
    Error::not_found(format!("sandbox {id} does not exist or has ended"))
}
