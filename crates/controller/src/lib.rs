//! The life of every sandbox.
//!
//! The gateway calls [`Controller`]; nobody else does. What shall be is written to the store before anything
//! is done, every action may be repeated, and a start reconciles what is with what shall be:
//!
//! - `decide` is pure: a record, what the node has said, and the time make the next action;
//! - `drive` is one task per sandbox that carries those actions out until nothing is left of it;
//! - `observe` watches the node, reconciles after every gap, and keeps its figures;
//! - `pause` stops sandboxes where they are and lets them go on;
//! - `pool` keeps sandboxes booted for whoever asks for their like;
//! - `idempotency` has a request that is sent again make nothing more;
//! - `keys` makes and revokes what callers show;
//! - `quota` counts what a tenant has at once;
//! - `usage` adds up what was used;
//! - `images` brings images to the node and takes them away;
//! - `activity` knows who uses a sandbox, for its idle timeout, and `lease` lets the node know, too;
//! - `webhooks` delivers events to addresses of their owners;
//! - `figures` measures what sandboxes use, for whoever scrapes;
//! - `news` tells those who wait for events that there are some;
//! - `collect` is one task per execution that brings its output to safety, across broken connections; `overdue` ends
//!   what is past its timeout.

mod activity;
mod api;
mod begin;
mod collect;
mod context;
mod contexts;
mod control;
mod decide;
mod drive;
mod engines;
mod entropy;
mod entry;
mod events;
mod executions;
mod figures;
mod files;
mod idempotency;
mod images;
mod keys;
mod lease;
mod live;
mod logs;
mod news;
mod observe;
mod oom;
mod output;
mod outputs;
mod overdue;
mod pause;
mod place;
mod pool;
mod port;
mod quota;
mod retention;
mod sandboxes;
mod spool;
mod start;
mod table;
mod terminal;
mod transfers;
mod update;
mod usage;
mod webhooks;

pub use api::{
    Controller, Created, EventQuery, Execution, FileBody, Health, LogEntry, LogQuery, NewExecution, NewSandbox,
    OutputEvent,
};
pub use context::{Parts, Settings};
pub use engines::EngineStatus;
pub use entropy::{Entropy, SystemEntropy};
pub use images::{
    BuildContext, Credentials, ImageJob, ImageJobKind, ImageJobState, ImageProgress, ImageStage, MadeImage, MakeImages,
    NewBuild, NewImage, NoImages, PullRequest,
};
pub use output::OutputPart;
pub use outputs::{OutputFile, OutputFiles, OutputFolder};
pub use quota::Quota;
pub use sentinal_agent_client::{OpenContext, PortStream};
pub use sentinal_node_protocol::{HostUsage, ImageConfig, ImageDetails, ImageView, RemovedImages};
pub use sentinal_store::{
    DeliveryRecord, EventRecord, ExecutionRecord, ExecutionState, KeyRecord, Output, OutputPlace, Page, SandboxFilter,
    SandboxRecord, UsageQuery, UsageRecord, WebhookRecord,
};
pub use terminal::Attached;
pub use webhooks::{CreatedWebhook, NewWebhook, NoWebhooks, SendWebhooks, WebhookAnswer, WebhookMessage, event_id};
