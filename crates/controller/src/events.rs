//! The events that go into the store with what they tell of. Their names are a closed set of the vocabulary.

use sentinal_agent_client::clean;
use sentinal_auth::Caller;
use sentinal_model::{
    ArchiveWritten, ContextId, End, EventName, ExecutionOutcome, FileMove, GuestPath, ImageName, KeyId, Millis,
    SandboxId, TenantId,
};
use sentinal_node_protocol::{ImageDetails, RemovedImages};
use sentinal_store::{EventRecord, ExecutionRecord, KeyRecord, NewEvent, SandboxRecord, WebhookRecord};

/// The event that is sent to try a webhook out. It stands in no log, and no webhook asks for it.
const WEBHOOK_TEST: &str = "Webhook Test";

/// Of the images that are gone together so many are told by name.
const DIGESTS_TOLD_MAX: usize = 8;

/// A sandbox was acknowledged.
pub(crate) fn sandbox_created(record: &SandboxRecord) -> NewEvent {
    audit(record.tenant.clone(), record.id, record.created_at)
        .named(EventName::SandboxCreated, record.engine_reason.clone())
}

/// Everything in a sandbox is to stop.
pub(crate) fn sandbox_paused(record: &SandboxRecord, at: Millis) -> NewEvent {
    audit(record.tenant.clone(), record.id, at).named(EventName::SandboxPaused, "the sandbox is paused".to_owned())
}

/// A paused sandbox is to go on.
pub(crate) fn sandbox_resumed(record: &SandboxRecord, at: Millis) -> NewEvent {
    audit(record.tenant.clone(), record.id, at).named(EventName::SandboxResumed, "the sandbox goes on".to_owned())
}

/// A sandbox is to live longer or shorter, or has other labels.
pub(crate) fn sandbox_updated(record: &SandboxRecord, at: Millis, what: &str) -> NewEvent {
    audit(record.tenant.clone(), record.id, at).named(EventName::SandboxUpdated, what.to_owned())
}

/// A sandbox is to end.
pub(crate) fn sandbox_destroyed(record: &SandboxRecord, end: End, at: Millis) -> NewEvent {
    let message = format!("the sandbox ends: {}", end.as_str());
    audit(record.tenant.clone(), record.id, at).named(EventName::SandboxDestroyed, message)
}

/// An execution was acknowledged.
pub(crate) fn execution_started(record: &ExecutionRecord) -> NewEvent {
    let program = match record.command.context {
        Some(_) => "code in a context",
        None => record.command.argv.first().map(String::as_str).unwrap_or_default(),
    };
    of_execution(record, record.created_at).named(EventName::ExecutionStarted, clean(program))
}

/// An execution has ended.
pub(crate) fn execution_completed(record: &ExecutionRecord, at: Millis, outcome: ExecutionOutcome) -> NewEvent {
    let number =
        outcome.exit_code().or_else(|| outcome.signal()).map(|number| format!(" {number}")).unwrap_or_default();
    let message = format!("the execution ended: {}{number}", outcome.as_str());
    of_execution(record, at).named(EventName::ExecutionCompleted, message)
}

/// A sandbox has a context.
pub(crate) fn context_created(tenant: &TenantId, sandbox: SandboxId, at: Millis, id: ContextId) -> NewEvent {
    audit(tenant.clone(), sandbox, at).named(EventName::ContextCreated, id.to_string())
}

/// A context is to end.
pub(crate) fn context_removed(tenant: &TenantId, sandbox: SandboxId, at: Millis, id: ContextId) -> NewEvent {
    audit(tenant.clone(), sandbox, at).named(EventName::ContextRemoved, id.to_string())
}

/// A file is in a sandbox.
pub(crate) fn file_uploaded(tenant: &TenantId, sandbox: SandboxId, at: Millis, file: (&GuestPath, u64)) -> NewEvent {
    let (path, bytes) = file;
    audit(tenant.clone(), sandbox, at)
        .named(EventName::FileUploaded, format!("{} ({bytes} bytes)", clean(path.as_str())))
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
    audit(tenant.clone(), sandbox, at).named(EventName::ArchiveUnpacked, message)
}

/// A folder is in a sandbox.
pub(crate) fn folder_created(tenant: &TenantId, sandbox: SandboxId, at: Millis, path: &GuestPath) -> NewEvent {
    audit(tenant.clone(), sandbox, at).named(EventName::FolderCreated, clean(path.as_str()))
}

/// A file of a sandbox has another path.
pub(crate) fn file_moved(tenant: &TenantId, sandbox: SandboxId, at: Millis, change: &FileMove) -> NewEvent {
    let message = format!("{} to {}", clean(change.from.path.as_str()), clean(change.to.as_str()));
    audit(tenant.clone(), sandbox, at).named(EventName::FileMoved, message)
}

/// A file of a sandbox is no more.
pub(crate) fn file_removed(tenant: &TenantId, sandbox: SandboxId, at: Millis, path: &GuestPath) -> NewEvent {
    audit(tenant.clone(), sandbox, at).named(EventName::FileRemoved, clean(path.as_str()))
}

/// What happened to a webhook. Its address is nobody's who reads logs: there may be a secret in it.
pub(crate) fn webhook(record: &WebhookRecord, at: Millis, name: EventName) -> NewEvent {
    let why = Some(&record.disabled_reason).filter(|reason| !reason.is_empty());
    let message = why.map_or_else(|| record.id.to_string(), |reason| format!("{}: {reason}", record.id));
    of_tenant(record.tenant.clone(), at).named(name, message)
}

/// What is sent to try a webhook out.
pub(crate) fn webhook_test(record: &WebhookRecord, at: Millis) -> EventRecord {
    let message = format!("a test of {}", record.id);
    let event = NewEvent { name: WEBHOOK_TEST.to_owned(), message, ..of_tenant(record.tenant.clone(), at).0 };
    EventRecord { cursor: 0, event }
}

/// An image is there that was not, or under a name that stood for another one: `Image Imported`, `Image Pulled`, `Image
/// Built`.
pub(crate) fn image_made(by: &Caller, at: Millis, (what, image): (EventName, &ImageDetails)) -> NewEvent {
    let message = format!("{} {} from {}, by {}", image.name, clean(&image.digest), clean(&image.source), by.key());
    of_tenant(by.tenant().clone(), at).named(what, message)
}

/// A name is gone, and perhaps its image.
pub(crate) fn image_removed(by: &Caller, at: Millis, (name, removed): (&ImageName, &RemovedImages)) -> NewEvent {
    let what = removed.digests.first().map_or_else(|| "the name alone".to_owned(), |digest| clean(digest));
    of_tenant(by.tenant().clone(), at).named(EventName::ImageRemoved, format!("{name} ({what}), by {}", by.key()))
}

/// Images are gone that nobody named or used.
pub(crate) fn images_pruned(tenant: &TenantId, at: Millis, (removed, why): (&RemovedImages, &str)) -> NewEvent {
    let (count, bytes) = (removed.digests.len(), removed.bytes);
    let digests: Vec<String> = removed.digests.iter().take(DIGESTS_TOLD_MAX).map(|digest| clean(digest)).collect();
    let rest = if DIGESTS_TOLD_MAX < count { ", ..." } else { "" };
    let message = format!("{count} images ({bytes} bytes), {why}: {}{rest}", digests.join(", "));
    of_tenant(tenant.clone(), at).named(EventName::ImagesPruned, message)
}

/// A key was made, with another one.
pub(crate) fn key_created(record: &KeyRecord, by: KeyId) -> NewEvent {
    let expiry = if record.expires_at.is_some() { "expires" } else { "does not expire" };
    let (id, role, name) = (record.id, &record.role, clean(&record.name));
    of_tenant(record.tenant.clone(), record.created_at)
        .named(EventName::KeyCreated, format!("{id} ({role}, {expiry}) by {by}: {name}"))
}

/// A key is not taken any more.
pub(crate) fn key_revoked(record: &KeyRecord, by: KeyId, at: Millis) -> NewEvent {
    let (id, role, name) = (record.id, &record.role, clean(&record.name));
    of_tenant(record.tenant.clone(), at).named(EventName::KeyRevoked, format!("{id} ({role}) by {by}: {name}"))
}

fn of_execution(record: &ExecutionRecord, at: Millis) -> Unnamed {
    let mut event = audit(record.tenant.clone(), record.sandbox, at);
    event.0.execution = Some(record.id);
    event
}

fn audit(tenant: TenantId, sandbox: SandboxId, at: Millis) -> Unnamed {
    Unnamed(NewEvent { sandbox: Some(sandbox), ..of_tenant(tenant, at).0 })
}

fn of_tenant(tenant: TenantId, at: Millis) -> Unnamed {
    let kind = "audit".to_owned();
    let (name, message) = (String::new(), String::new());
    Unnamed(NewEvent { tenant, at, name, kind, sandbox: None, execution: None, message })
}

/// An event that does not say yet what happened.
struct Unnamed(NewEvent);

impl Unnamed {
    fn named(self, name: EventName, message: String) -> NewEvent {
        NewEvent { name: name.as_str().to_owned(), message, ..self.0 }
    }
}
