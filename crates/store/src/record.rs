//! The records: model types with what only the store adds.

mod webhook;

use std::{collections::BTreeMap, fmt, time::Duration};

use sentinal_model::{
    Command, Ended, EngineName, ExecutionId, Generation, KeyId, Made, Millis, NodeId, Once, Phase, Results, SandboxId,
    Spec, TenantId, UsageBy, UsageSum, WebhookId,
};

pub use webhook::{DeliveryRecord, NewDelivery, WebhookProgress, WebhookRecord};

/// A sandbox and all that is known of it. While its phase has a placement, that is what is stored as node, engine
/// and reason. `finished_at` is there if and only if the phase is finished,
/// `paused_at` if and only if it is paused. `Debug` does not show the token.
#[derive(Clone, PartialEq, Eq)]
pub struct SandboxRecord {
    /// Its id.
    pub id: SandboxId,
    /// Whose it is.
    pub tenant: TenantId,
    /// How often the controller has changed its mind about it.
    pub generation: Generation,
    /// Where in its life it is.
    pub phase: Phase,
    /// What was asked for.
    pub spec: Spec,
    /// Where it was placed, kept after the end; `None` until then.
    pub node: Option<NodeId>,
    /// What it was placed on, kept after the end; `None` until then.
    pub engine: Option<EngineName>,
    /// Why there, kept after the end; empty until then.
    pub engine_reason: String,
    /// A sentence about what went wrong, for the caller; empty if nothing did.
    pub message: String,
    /// What the agent proves itself with.
    pub token: [u8; 32],
    /// Whether it belongs to a one-shot execution and is destroyed after it.
    pub one_shot: bool,
    /// What it was booted from, while it is nobody's and waits to be claimed. It is so if and only if its tenant is
    /// [`TenantId::nobody`]; once it is somebody's it stays somebody's.
    pub pooled: Option<Build>,
    /// With which key it was asked for; `None` while it is nobody's, or where that was not written down.
    pub key: Option<KeyId>,
    /// When it was acknowledged.
    pub created_at: Millis,
    /// When its ttl runs out.
    pub expires_at: Millis,
    /// When it was paused, if it is.
    pub paused_at: Option<Millis>,
    /// How long it was paused before that.
    pub paused_for: Duration,
    /// When nothing was left of it.
    pub finished_at: Option<Millis>,
}

impl fmt::Debug for SandboxRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxRecord")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("generation", &self.generation)
            .field("phase", &self.phase)
            .field("spec", &self.spec)
            .field("node", &self.node)
            .field("engine", &self.engine)
            .field("engine_reason", &self.engine_reason)
            .field("message", &self.message)
            .field("token", &"[redacted]")
            .field("one_shot", &self.one_shot)
            .field("pooled", &self.pooled)
            .field("key", &self.key)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .field("paused_at", &self.paused_at)
            .field("paused_for", &self.paused_for)
            .field("finished_at", &self.finished_at)
            .finish()
    }
}

/// What a sandbox was booted from, as far as it may become something else under the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The digest of its image.
    pub image: String,
    /// The digest of its agent.
    pub agent: String,
    /// What its engine's probe answered.
    pub engine: String,
}

/// An execution and all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionRecord {
    /// Its id.
    pub id: ExecutionId,
    /// Where it runs.
    pub sandbox: SandboxId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it runs; standard input is not kept.
    pub command: Command,
    /// Whether that is all of it: it was given no standard input.
    pub is_whole: bool,
    /// With which key it was asked for, where that was written down.
    pub key: Option<KeyId>,
    /// Whether it runs, or how it ended.
    pub state: ExecutionState,
    /// When it was acknowledged.
    pub created_at: Millis,
}

/// Whether an execution runs, or how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutionState {
    /// It may have been started.
    Running,
    /// It has ended and its output is complete.
    Finished {
        /// How.
        ended: Ended,
        /// When.
        finished_at: Millis,
        /// What it wrote to standard output.
        stdout: Output,
        /// What it wrote to standard error.
        stderr: Output,
        /// What it made beside that, if it is code in a context. Lists leave it out.
        results: Results,
    },
}

/// What one stream of a finished execution wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// How many bytes the program wrote.
    pub bytes_total: u64,
    /// How many of them are stored: the first so many.
    pub bytes_stored: u64,
    /// Where.
    pub place: OutputPlace,
}

/// Where stored output is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputPlace {
    /// In the row.
    Row(Vec<u8>),
    /// In the file of this execution and stream, in the output folder.
    File,
}

impl Default for OutputPlace {
    fn default() -> Self {
        Self::Row(Vec::new())
    }
}

/// An API key; the secret itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its id, part of what the caller sends.
    pub id: KeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it is for, in its owner's words.
    pub name: String,
    /// `admin`, ... as `auth` names roles.
    pub role: String,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// When it was made.
    pub created_at: Millis,
    /// When it stops being taken; `None` is never.
    pub expires_at: Option<Millis>,
    /// When it was last used, as far as that was written down. Of a new one it is not stored.
    pub last_used_at: Option<Millis>,
    /// Since when it is not taken any more. Of a new one it is not stored.
    pub revoked_at: Option<Millis>,
}

/// What was used: in one hour, or of several added up. What it was not added up by is not told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    /// Whose it is.
    pub tenant: TenantId,
    /// When the hour, or the day, begins.
    pub hour: Millis,
    /// On which engine.
    pub engine: Option<EngineName>,
    /// With which key it was asked for.
    pub key: Option<KeyId>,
    /// How much.
    pub used: UsageSum,
}

/// Which of what was used, and how it is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageQuery {
    /// In hours that begin then or later.
    pub since: Millis,
    /// In hours that begin before.
    pub until: Millis,
    /// By what.
    pub by: UsageBy,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// Executions that may have output files, which may go now.
    pub with_files: Vec<ExecutionId>,
    /// How much stored output all of them had, in bytes by tenant.
    pub output_bytes: Vec<(TenantId, u64)>,
}

/// What a request has made that makes it at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Whose request: another tenant's key is another key.
    pub tenant: TenantId,
    /// Which request.
    pub once: Once,
    /// What came of it.
    pub made: Made,
    /// When.
    pub created_at: Millis,
}

/// Something that happened, before it has a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Whose it is.
    pub tenant: TenantId,
    /// When.
    pub at: Millis,
    /// What: `Sandbox Created`, `Execution Started`, ...
    pub name: String,
    /// `execution`, `audit`, `security` or `system`.
    pub kind: String,
    /// Which sandbox.
    pub sandbox: Option<SandboxId>,
    /// Which execution.
    pub execution: Option<ExecutionId>,
    /// A sentence for people; bounded by whoever writes it.
    pub message: String,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Monotonic over all events.
    pub cursor: i64,
    /// What.
    pub event: NewEvent,
}

/// One change. A batch of them is one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Inserts or replaces a sandbox, unless the store has a newer generation, has it finished and this is not, or has
    /// it as another tenant's: then `conflict`. What waits in a pool is no tenant's yet.
    Sandbox(Box<SandboxRecord>),
    /// Inserts or replaces an execution; one that is finished in the store stays as it is. `conflict` if the store
    /// does not know its sandbox (any more).
    Execution(Box<ExecutionRecord>),
    /// Inserts or replaces what a request has made; `conflict` if its key is another request's. In one batch with what
    /// it made, so that there is never one without the other.
    Idempotency(IdempotencyRecord),
    /// Inserts a key; `conflict` if one with that id exists or ever existed.
    Key(KeyRecord),
    /// Revokes a key for good; one that is revoked or unknown stays so.
    RevokeKey {
        /// Which.
        id: KeyId,
        /// When.
        at: Millis,
    },
    /// What a sandbox has used up to a moment, as the host has counted it: what is new of that is added to the sums, and
    /// nothing of it twice. Sandboxes and executions add what they are themselves. Nothing for one that has ended.
    Usage {
        /// Which.
        sandbox: SandboxId,
        /// Up to when.
        at: Millis,
        /// Cpu time since its boot, in microseconds.
        cpu_us: u64,
    },
    /// Adds bytes of files to the sums of the hour that the record's moment lies in, as often as it is written.
    Transferred(Box<UsageRecord>),
    /// Appends an event.
    Event(NewEvent),
    /// Inserts a webhook, which begins after the newest event there is by then, or changes one: where it is and its secret
    /// stay, and what has failed is tried again at once. `conflict` if the store has a newer generation, or has it as
    /// another tenant's.
    Webhook(Box<WebhookRecord>),
    /// How far a webhook is; nothing, if it is gone or of another generation by now.
    WebhookProgress {
        /// Which.
        id: WebhookId,
        /// As it was when it went so far.
        generation: Generation,
        /// How far.
        progress: WebhookProgress,
    },
    /// Appends an attempt to deliver an event and forgets those of the webhook that are too many; nothing, if the webhook
    /// is gone.
    Delivery(Box<NewDelivery>),
    /// Removes a webhook and all that became of its deliveries; one that is unknown stays so.
    RemoveWebhook(WebhookId),
}

/// Which sandboxes of a tenant; all of them unless told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SandboxFilter {
    /// With all of these labels.
    pub labels: BTreeMap<String, String>,
}

/// A page of a list: rows after (older than) a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<Id> {
    /// Begin after this one; `None` begins with the newest.
    pub after: Option<Id>,
    /// At most so many rows.
    pub rows_max: u32,
}
