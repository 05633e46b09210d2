//! The events that go into the store with what they tell of. Their names are the requirement's, word for word.

use sentinal_agent_client::clean;
use sentinal_model::{
    ArchiveWritten, ContextId, End, ExecutionOutcome, FileMove, GuestPath, KeyId, Millis, SandboxId, TenantId,
};
use sentinal_store::{ExecutionRecord, KeyRecord, NewEvent, SandboxRecord};

/// The event at which an execution's output stands in the log.
pub(crate) const EXECUTION_COMPLETED: &str = "Execution Completed";

/// A sandbox was acknowledged.
pub(crate) fn sandbox_created(record: &SandboxRecord) -> NewEvent {
    audit(record.tenant.clone(), record.id, record.created_at).named("Sandbox Created", record.engine_reason.clone())
}

/// Everything in a sandbox is to stop.
pub(crate) fn sandbox_paused(record: &SandboxRecord, at: Millis) -> NewEvent {
    audit(record.tenant.clone(), record.id, at).named("Sandbox Paused", "the sandbox is paused".to_owned())
}

/// A paused sandbox is to go on.
pub(crate) fn sandbox_resumed(record: &SandboxRecord, at: Millis) -> NewEvent {
    audit(record.tenant.clone(), record.id, at).named("Sandbox Resumed", "the sandbox goes on".to_owned())
}

/// A sandbox is to live longer or shorter, or has other labels.
pub(crate) fn sandbox_updated(record: &SandboxRecord, at: Millis, what: &str) -> NewEvent {
    audit(record.tenant.clone(), record.id, at).named("Sandbox Updated", what.to_owned())
}

/// A sandbox is to end.
pub(crate) fn sandbox_destroyed(record: &SandboxRecord, end: End, at: Millis) -> NewEvent {
    let message = format!("the sandbox ends: {}", end.as_str());
    audit(record.tenant.clone(), record.id, at).named("Sandbox Destroyed", message)
}

/// An execution was acknowledged.
pub(crate) fn execution_started(record: &ExecutionRecord) -> NewEvent {
    let program = match record.command.context {
        Some(_) => "code in a context",
        None => record.command.argv.first().map(String::as_str).unwrap_or_default(),
    };
    of_execution(record, record.created_at).named("Execution Started", clean(program))
}

/// An execution has ended.
pub(crate) fn execution_completed(record: &ExecutionRecord, at: Millis, outcome: ExecutionOutcome) -> NewEvent {
    let number =
        outcome.exit_code().or_else(|| outcome.signal()).map(|number| format!(" {number}")).unwrap_or_default();
    let message = format!("the execution ended: {}{number}", outcome.as_str());
    of_execution(record, at).named(EXECUTION_COMPLETED, message)
}

/// A sandbox has a context.
pub(crate) fn context_created(tenant: &TenantId, sandbox: SandboxId, at: Millis, id: ContextId) -> NewEvent {
    audit(tenant.clone(), sandbox, at).named("Context Created", id.to_string())
}

/// A context is to end.
pub(crate) fn context_removed(tenant: &TenantId, sandbox: SandboxId, at: Millis, id: ContextId) -> NewEvent {
    audit(tenant.clone(), sandbox, at).named("Context Removed", id.to_string())
}

/// A file is in a sandbox.
pub(crate) fn file_uploaded(tenant: &TenantId, sandbox: SandboxId, at: Millis, file: (&GuestPath, u64)) -> NewEvent {
    let (path, bytes) = file;
    audit(tenant.clone(), sandbox, at).named("File Uploaded", format!("{} ({bytes} bytes)", clean(path.as_str())))
}

/// What was in an archive is in a sandbox.
pub(crate) fn archive_unpacked(
    tenant: &TenantId,
    sandbox: SandboxId,
    at: Millis,
    archive: (&GuestPath, ArchiveWritten),
) -> NewEvent {
    let (path, ArchiveWritten { entries, bytes }) = archive;
    let message = format!("{} ({entries} entries, {bytes} bytes)", clean(path.as_str()));
    audit(tenant.clone(), sandbox, at).named("Archive Unpacked", message)
}

/// A folder is in a sandbox.
pub(crate) fn folder_created(tenant: &TenantId, sandbox: SandboxId, at: Millis, path: &GuestPath) -> NewEvent {
    audit(tenant.clone(), sandbox, at).named("Folder Created", clean(path.as_str()))
}

/// A file of a sandbox has another path.
pub(crate) fn file_moved(tenant: &TenantId, sandbox: SandboxId, at: Millis, change: &FileMove) -> NewEvent {
    let message = format!("{} to {}", clean(change.from.path.as_str()), clean(change.to.as_str()));
    audit(tenant.clone(), sandbox, at).named("File Moved", message)
}

/// A file of a sandbox is no more.
pub(crate) fn file_removed(tenant: &TenantId, sandbox: SandboxId, at: Millis, path: &GuestPath) -> NewEvent {
    audit(tenant.clone(), sandbox, at).named("File Removed", clean(path.as_str()))
}

/// A key was made, with another one.
pub(crate) fn key_created(record: &KeyRecord, by: KeyId) -> NewEvent {
    let expiry = if record.expires_at.is_some() { "expires" } else { "does not expire" };
    let (id, role, name) = (record.id, &record.role, clean(&record.name));
    of_key(record, record.created_at).named("Key Created", format!("{id} ({role}, {expiry}) by {by}: {name}"))
}

/// A key is not taken any more.
pub(crate) fn key_revoked(record: &KeyRecord, by: KeyId, at: Millis) -> NewEvent {
    let (id, role, name) = (record.id, &record.role, clean(&record.name));
    of_key(record, at).named("Key Revoked", format!("{id} ({role}) by {by}: {name}"))
}

fn of_key(record: &KeyRecord, at: Millis) -> Unnamed {
    audit(record.tenant.clone(), None, at)
}

fn of_execution(record: &ExecutionRecord, at: Millis) -> Unnamed {
    let mut event = audit(record.tenant.clone(), record.sandbox, at);
    event.0.execution = Some(record.id);
    event
}

fn audit(tenant: TenantId, sandbox: impl Into<Option<SandboxId>>, at: Millis) -> Unnamed {
    Unnamed(NewEvent {
        tenant,
        at,
        name: String::new(),
        kind: "audit".to_owned(),
        sandbox: sandbox.into(),
        execution: None,
        message: String::new(),
    })
}

/// An event that does not say yet what happened.
struct Unnamed(NewEvent);

impl Unnamed {
    fn named(self, name: &str, message: String) -> NewEvent {
        NewEvent { name: name.to_owned(), message, ..self.0 }
    }
}
