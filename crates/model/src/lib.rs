//! SENTINAL's vocabulary: what a sandbox is, which phases it has, and what may be said about it.
//!
//! No IO, no async, no clock: every other crate knows this one, and this one knows nobody. Wire and row
//! types live elsewhere; they convert into these with `TryFrom`, so that what is here is always valid.
//!
//! Start at [`Spec`] (what a caller asks for) and [`Phase`] (the life of a sandbox).

mod clock;
mod context;
mod engine;
mod error;
mod event;
mod execution;
mod file;
mod free_space;
mod guest_path;
mod id;
mod idempotency;
pub mod limits;
mod phase;
mod pool;
mod quantity;
mod quota;
mod role;
mod similar;
mod spec;
mod usage;
mod webhook;

pub use clock::{Clock, Millis, SystemClock};
pub use context::{Language, NewContext};
pub use engine::{EngineChoice, EngineName, Isolation, UnknownName};
pub use error::{Code, Error, Result};
pub use event::{EventFilter, EventName};
pub use execution::{Command, Ended, ExecutionOutcome, Results, StdinPart, Stream, TerminalSize, Usage};
pub use file::{
    ArchiveRead, ArchiveWrite, ArchiveWritten, ByteRange, FileAt, FileChange, FileEvent, FileKind, FileLook, FileMove,
    FileRemoval, FileStat, FileWrite, FileWritten, FolderEntry, FolderList, FolderPage, FolderWatch, NewFolder,
    WritePlace,
};
pub use free_space::FreeSpace;
pub use guest_path::{GuestPath, InvalidGuestPath};
pub use id::{
    ContextId, ExecutionId, Generation, ImageJobId, InvalidId, KeyId, NodeId, SandboxId, TenantId, WebhookId,
};
pub use idempotency::{IdempotencyKey, InvalidIdempotencyKey, Made, Once};
pub use phase::{End, Event, Failure, Phase, Placement, Rejected, State};
pub use pool::{InvalidPool, Pool};
pub use quantity::{Cpu, Disk, InvalidQuantity, Memory, bytes_text, parse_bytes};
pub use quota::{Amounts, InvalidQuota, QuotaChoice, QuotaName, Quotas};
pub use role::Role;
pub use similar::similar;
pub use spec::{ImageName, Labels, SandboxUpdate, Spec};
pub use usage::{UsageBy, UsageSum};
pub use webhook::{DeliveryResult, WebhookSecret, WebhookSpec, WebhookUpdate};
