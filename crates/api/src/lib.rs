//! The v1 API in types: what callers send, what they are answered, and what neither may be.
//!
//! Wire types derive serde and nothing is trusted because it could be parsed: `TryFrom` turns them into the
//! vocabulary of `sentinal-model`, and every refusal is a sentence that names the field. Answers are built from
//! the vocabulary by whoever has it; a client writes and reads the same types. No HTTP here: status numbers and headers are the gateway's.
//!
//! Start at [`parse_json`], then [`CreateSandbox`] and [`Execute`].

mod bytes;
mod context;
mod create;
mod engine;
mod event;
mod execute;
mod execution;
mod field;
mod file;
mod file_query;
mod health;
mod image;
mod image_build;
mod json;
mod key;
mod link;
mod list;
mod log;
mod names;
mod pause;
mod problem;
mod query;
mod quota;
mod sandbox;
mod signal;
mod stats;
mod stdin;
mod terminal;
mod update;
mod upload;
mod usage;
mod webhook;

pub use bytes::{Encoding, Inline};
pub use context::{Context, NewContext};
pub use create::{CreateSandbox, ParsedCreate, Quantity};
pub use engine::Engine;
pub use event::{EventItem, Events, EventsQuery, event_type, parse_event_cursor};
pub use execute::{Execute, ParsedExecute, Target};
pub use execution::{Execution, ExecutionStarted, OutputChunk, Usage};
pub use field::time_text;
pub use file::{FileEntry, FileEventData, FileList, MakeFolder, MoveFile, UnpackedArchive};
pub use health::{Alive, Health};
pub use image::{
    Image, ImageConfig, ImageDetails, ImageJob, ImageJobError, ImageJobsQuery, ImagesQuery, ImportQuery, ParsedPull,
    PullCredentials, PullImage, RemovedImages,
};
pub use image_build::{BuildQuery, JobLogQuery};
pub use json::parse_json;
pub use key::{Key, KeysQuery, MadeKey, NewKey, OwnKey, ParsedKey};
pub use link::{Link, NewLink};
pub use list::List;
pub use log::{LogItem, Logs, LogsQuery};
pub use names::{
    DeliveryResult, EngineChoice, EngineName, EventType, ExecutionOutcome, ExecutionState, FileType, Isolation, Keep,
    Language, LogKind, ProblemCode, QuotaName, Role, SandboxOutcome, SandboxState, StreamName, UsageBy,
};
pub use pause::PauseSandbox;
pub use problem::Problem;
pub use query::{ExecutionsQuery, FileQuery, OutputQuery, PageQuery, Query, SandboxesQuery, WaitQuery};
pub use quota::{Quota, QuotaReport};
pub use sandbox::Sandbox;
pub use signal::{SendSignal, SignalName};
pub use stats::SandboxStats;
pub use stdin::StdinGiven;
pub use terminal::{Terminal, TerminalNotice, TerminalQuery, TerminalRequest};
pub use update::UpdateSandbox;
pub use upload::{Upload, UploadedFile};
pub use usage::{ExecutionCounts, UsageAsked, UsageFigures, UsageItem, UsageReport};
pub use webhook::{
    CreateWebhook, CreatedWebhook, DeliveriesQuery, Delivery, UpdateWebhook, Webhook, WebhookTest, WebhooksQuery,
    event_types,
};
