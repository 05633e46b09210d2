//! What a batch must be, whatever holds it: our own bugs are found before anything is written.

use sentinal_model::{
    Code, Error, ExecutionId, Generation, IdempotencyKey, KeyId, Result, SandboxId, TenantId, WebhookId,
};

use crate::{SandboxRecord, Write, limits};

/// A batch that no caller's words can cause.
#[derive(Debug, thiserror::Error)]
enum InvalidBatch {
    #[error("a batch has {writes} writes; at most {max} are allowed")]
    TooLong { writes: usize, max: usize },
    #[error("sandbox {id} is in phase {phase:?} with finished_at {finished_at:?}; one goes only with the other")]
    FinishedAt { id: SandboxId, phase: sentinal_model::Phase, finished_at: Option<sentinal_model::Millis> },
    #[error("sandbox {id} of the tenant {tenant:?} has pooled {pooled}; what is pooled is nobody's, and nothing else")]
    Pooled { id: SandboxId, tenant: TenantId, pooled: bool },
    #[error("{id} would be nobody's key")]
    NobodysKey { id: KeyId },
}

/// Refuses a batch that would leave rows nobody could use.
pub(crate) fn batch(writes: &[Write]) -> Result<()> {
    if limits::BATCH_WRITES_MAX < writes.len() {
        let too_long = InvalidBatch::TooLong { writes: writes.len(), max: limits::BATCH_WRITES_MAX };
        return Err(Error::internal(&too_long));
    }
    writes.iter().try_for_each(|write| match write {
        Write::Sandbox(record) => sandbox(record),
        Write::Key(record) if record.tenant == TenantId::nobody() => {
            Err(Error::internal(&InvalidBatch::NobodysKey { id: record.id }))
        }
        Write::Execution(_)
        | Write::Idempotency(_)
        | Write::Key(_)
        | Write::RevokeKey { .. }
        | Write::Usage { .. }
        | Write::Transferred(_)
        | Write::Event(_)
        | Write::Webhook(_)
        | Write::WebhookProgress { .. }
        | Write::Delivery(_)
        | Write::RemoveWebhook(_) => Ok(()),
    })
}

fn sandbox(record: &SandboxRecord) -> Result<()> {
    if record.phase.is_finished() != record.finished_at.is_some() {
        let (phase, finished_at) = (record.phase.clone(), record.finished_at);
        return Err(Error::internal(&InvalidBatch::FinishedAt { id: record.id, phase, finished_at }));
    }
    if record.pooled.is_some() != (record.tenant == TenantId::nobody()) {
        let (tenant, pooled) = (record.tenant.clone(), record.pooled.is_some());
        return Err(Error::internal(&InvalidBatch::Pooled { id: record.id, tenant, pooled }));
    }
    Ok(())
}

/// A sandbox that has gone on in the meantime.
pub(crate) fn stale_sandbox(id: SandboxId, written: Generation, stored: Generation, stored_phase: &str) -> Error {
    let message = format!(
        "sandbox {id} is {stored_phase} in generation {stored}; a change that was decided in generation {written} comes too late"
    );
    Error::new(Code::Conflict, message)
}

/// An execution whose sandbox is not there, or not any more.
pub(crate) fn orphan_execution(id: ExecutionId, sandbox: SandboxId) -> Error {
    Error::new(Code::Conflict, format!("execution {id} belongs to sandbox {sandbox}, whose record is gone"))
}

/// A webhook that was changed in the meantime.
pub(crate) fn stale_webhook(id: WebhookId) -> Error {
    Error::new(Code::Conflict, format!("webhook {id} was changed by somebody else at the same time; try again"))
}

/// A key with an id that was used before.
pub(crate) fn known_key(id: KeyId) -> Error {
    Error::new(Code::Conflict, format!("{id} exists already; the id of a key is used once"))
}

/// A key that was another request's.
pub(crate) fn known_request(key: &IdempotencyKey) -> Error {
    Error::new(Code::Conflict, format!("a request with the idempotency key {key} is another request"))
}
