//! Pausing and resuming.
//!
//! What shall be is the phase, written first; what is, the node says; `decide` makes the one follow the other, also
//! after a crash between the two. A pause that the engine refuses is taken back.

use std::{sync::Arc, time::Duration};

use sentinal_auth::{PauseSandbox, Permit, ResumeSandbox};
use sentinal_model::{Code, Error, Event, Phase, Result, SandboxId, TenantId};
use sentinal_node_protocol::InstanceState;
use sentinal_store::{NewEvent, SandboxRecord};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    api::Controller,
    context::Context,
    decide::Observed,
    entry::{Change, Entry},
    events, lease,
    sandboxes::unknown,
};

/// How long a caller waits for a pause or a resume that was written down.
const WAIT: Duration = Duration::from_secs(25);

/// How often a pause is tried that nobody refused.
const TRIES_MAX: u32 = 3;

/// How long to rest before a resume, or a pause that nobody refused, is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

impl Controller {
    /// Stops everything in a sandbox where it is, with its memory kept. Answers when it has; one that is paused stays so.
    pub async fn pause(&self, permit: &Permit<PauseSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.turn(permit.tenant(), id, Event::Paused, events::sandbox_paused).await
    }

    /// Lets a paused sandbox go on. Answers when it does; one that runs stays as it is.
    pub async fn resume(&self, permit: &Permit<ResumeSandbox>, id: SandboxId) -> Result<SandboxRecord> {
        self.turn(permit.tenant(), id, Event::Resumed, events::sandbox_resumed).await
    }

    async fn turn(
        &self,
        tenant: &TenantId,
        id: SandboxId,
        event: Event,
        tell: fn(&SandboxRecord, sentinal_model::Millis) -> NewEvent,
    ) -> Result<SandboxRecord> {
        let entry = self.entry(tenant, id).await?;
        let change = Change { event: Some(tell(&entry.record(), self.context.now())), ..Change::default() };
        let (context, turning, wanted) = (Arc::clone(&self.context), Arc::clone(&entry), event.clone());
        let written = async move {
            turning.refuse(None);
            // Its idle time, should it run, begins now.
            turning.activity().touch();
            turning.advance(&context, wanted, change).await
        };
        self.context.complete(written).await?;
        let done = timeout(WAIT, turned(&entry, event == Event::Paused)).await;
        let late = || Error::new(Code::Unavailable, format!("sandbox {id} is not there yet; ask for it again later"));
        done.unwrap_or_else(|_| Err(late())).map(|record| SandboxRecord::clone(&record))
    }
}

/// Waits until the sandbox is what it shall be.
async fn turned(entry: &Entry, paused: bool) -> Result<Arc<SandboxRecord>> {
    let (mut records, mut observations) = (entry.records(), entry.observed());
    loop {
        let record = Arc::clone(&records.borrow_and_update());
        let observed = *observations.borrow_and_update();
        match (&record.phase, observed, paused) {
            // The next change, which may turn it around, is being written down.
            (Phase::Paused(_) | Phase::Running(_), ..) if entry.is_in_doubt() => {}
            (Phase::Paused(_), Observed::Paused, true) | (Phase::Running(_), Observed::AsRecorded, false) => {
                return Ok(record);
            }
            (Phase::Running(_), _, true) | (Phase::Paused(_), _, false) => return Err(entry.refusal(&record)),
            (Phase::Stopping(..) | Phase::Finished(_), ..) => return Err(unknown(record.id)),
            (Phase::Pending | Phase::Booting(_) | Phase::Running(_) | Phase::Paused(_), ..) => {}
        }
        tokio::select! {
            biased;
            _ = records.changed() => {}
            _ = observations.changed() => {}
        }
    }
}

/// Has the instance pause. One that cannot is left running, and so is its sandbox. `tries`: how often this was called.
pub(crate) async fn pause(context: &Arc<Context>, entry: &Arc<Entry>, tries: u32) {
    let (record, asked) = (entry.record(), Instant::now());
    match context.node().pause(record.id, record.generation).await {
        Ok(()) => {
            if let Some(engine) = record.engine {
                context.metrics().engine_paused(engine, asked.elapsed());
            }
            entry.observe(Observed::Paused);
            tracing::info!(sandbox = %record.id, pause_ms = asked.elapsed().as_secs_f64() * 1000.0, "sandbox paused");
        }
        // It may have come to pass, or will when the node is back.
        Err(error) if tries < TRIES_MAX && matches!(error.code(), Code::Unavailable | Code::Conflict) => {
            tracing::warn!(sandbox = %record.id, ?error, "sandbox not paused yet");
            sleep(RETRY_AFTER).await;
        }
        // It may stand still since an earlier try, or since an earlier server's.
        Err(error) => match is_paused(context, record.id).await {
            Ok(true) => entry.observe(Observed::Paused),
            Ok(false) => take_back(context, entry, error).await,
            Err(unknown) => {
                tracing::warn!(sandbox = %record.id, ?error, ?unknown, "not known whether the sandbox is paused");
                sleep(RETRY_AFTER).await;
            }
        },
    }
}

async fn is_paused(context: &Context, id: SandboxId) -> Result<bool> {
    let inventory = context.node().list().await?;
    Ok(inventory.instances.iter().any(|instance| instance.id == id && instance.state == InstanceState::Paused))
}

async fn take_back(context: &Arc<Context>, entry: &Arc<Entry>, error: Error) {
    let record = entry.record();
    tracing::warn!(sandbox = %record.id, ?error, "sandbox cannot be paused");
    if let Some(engine) = record.engine {
        context.metrics().engine_failed(engine);
    }
    entry.refuse(Some(error));
    let event = events::sandbox_resumed(&record, context.now());
    let change = Change { event: Some(event), ..Change::default() };
    if let Err(error) = entry.advance(context, Event::Resumed, change).await {
        tracing::warn!(sandbox = %record.id, ?error, "end of a pause not written down yet");
        sleep(RETRY_AFTER).await;
    }
}

/// Has the instance go on, until it does.
pub(crate) async fn resume(context: &Arc<Context>, entry: &Arc<Entry>) {
    let (record, asked) = (entry.record(), Instant::now());
    if let Err(error) = context.node().resume(record.id, record.generation).await {
        tracing::warn!(sandbox = %record.id, ?error, "sandbox not resumed yet");
        sleep(RETRY_AFTER).await;
        return;
    }
    if let Some(engine) = record.engine {
        context.metrics().engine_resumed(engine, asked.elapsed());
    }
    let agent = timeout(Duration::ZERO, entry.agent()).await.ok().flatten();
    if let Some(agent) = agent {
        // Its clock went on meanwhile.
        lease::begin_anew(context, &record, agent);
    }
    entry.activity().touch();
    entry.observe(Observed::AsRecorded);
    tracing::info!(sandbox = %entry.record().id, resume_ms = asked.elapsed().as_secs_f64() * 1000.0, "sandbox resumed");
}
