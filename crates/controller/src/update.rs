//! Changing what may be changed of a sandbox in the middle of its life: how long it lives, and its labels.

use std::sync::Arc;

use sentinal_auth::{Permit, UpdateSandbox};
use sentinal_model::{Code, Error, Labels, Millis, Phase, Result, SandboxId, SandboxUpdate, limits};
use sentinal_store::SandboxRecord;
use tokio::time::timeout;

use crate::{
    api::Controller,
    drive,
    entry::Entry,
    events,
    sandboxes::{not_running, running, unknown},
};

impl Controller {
    /// Changes a sandbox, as soon as it is up. When this answers, node and agent know of a new end, unless one of them
    /// does not answer: it is told in the background then.
    pub async fn update(
        &self,
        permit: &Permit<UpdateSandbox>,
        id: SandboxId,
        update: SandboxUpdate,
    ) -> Result<SandboxRecord> {
        let entry = self.entry(permit.tenant(), id).await?;
        running(&entry, limits::WAIT_DEFAULT).await?;
        let own = Arc::clone(&self.context);
        let changed = entry.revise(&self.context, move |before| {
            let after = updated(before, &update, own.now())?;
            let event = events::sandbox_updated(&after, own.now(), &words(&update));
            Ok((after, event))
        });
        let record = changed.await?;
        if matches!(record.phase, Phase::Running(_)) {
            self.tell(&entry, &record).await;
        }
        Ok(SandboxRecord::clone(&record))
    }

    /// An agent that is not told before its sandbox is paused ends it as soon as it goes on.
    async fn tell(&self, entry: &Entry, record: &SandboxRecord) {
        let late = |_| Err(Error::new(Code::Unavailable, "node and agent take long to answer"));
        let told = timeout(limits::AGENT_ANSWER_DEADLINE, drive::tell(&self.context, entry, record)).await;
        if let Err(error) = told.unwrap_or_else(late) {
            tracing::warn!(sandbox = %record.id, ?error, "node and agent do not know of the sandbox's new end yet");
        }
    }
}

/// The record after the change; refused where it cannot be made.
fn updated(before: &SandboxRecord, update: &SandboxUpdate, now: Millis) -> Result<SandboxRecord> {
    match (&before.phase, not_running(before)) {
        (Phase::Stopping(..) | Phase::Finished(_), _) => return Err(unknown(before.id)),
        // With another ttl its agent, which stands still and cannot be told, would end it when it goes on.
        (Phase::Paused(_), _) if update.ttl.is_none() => {}
        (_, Some(refusal)) => return Err(refusal),
        (_, None) => {}
    }
    let mut after = before.clone();
    if let Some(ttl) = update.ttl {
        after.spec.ttl = ttl;
        after.expires_at = now.after(ttl);
    }
    let mut labels = before.spec.labels.as_map().clone();
    for (key, value) in &update.labels {
        match value {
            Some(value) => drop(labels.insert(key.clone(), value.clone())),
            None => drop(labels.remove(key)),
        }
    }
    after.spec.labels = Labels::try_from(labels)?;
    Ok(after)
}

/// What is changed, for the log.
fn words(update: &SandboxUpdate) -> String {
    let ttl = update.ttl.map(|ttl| format!("its ttl is {} s from now on", ttl.as_secs_f64()));
    let labels = (!update.labels.is_empty()).then(|| "its labels have changed".to_owned());
    [ttl, labels].into_iter().flatten().collect::<Vec<_>>().join("; ")
}
