//! What every handler can reach.

use std::sync::Arc;

use sentinal_auth::Policy;
use sentinal_model::limits;
use sentinal_telemetry::Metrics;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Ask, Authenticate, links::Links};

/// How much one request may carry, and one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest JSON body.
    pub json_body_bytes: u64,
    /// Largest upload, all its files together; also what is sent to standard input at once.
    pub upload_bytes: u64,
    /// Most files in one upload.
    pub upload_files: usize,
    /// Output of one stream in a JSON answer.
    pub output_inline_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_body_bytes: limits::JSON_BODY_BYTES_MAX,
            upload_bytes: limits::UPLOAD_BYTES_MAX,
            upload_files: limits::UPLOAD_FILES_MAX,
            output_inline_bytes: limits::OUTPUT_INLINE_BYTES_MAX,
        }
    }
}

/// What every handler can reach. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) controller: Arc<dyn Ask>,
    pub(crate) keys: Arc<dyn Authenticate>,
    pub(crate) policy: Policy,
    pub(crate) metrics: Metrics,
    /// The server stops: nothing may be followed any longer.
    pub(crate) closing: CancellationToken,
    /// Bodies that are being sent.
    pub(crate) streams: TaskTracker,
    /// Room for connections that are no longer HTTP.
    pub(crate) sockets: Arc<Semaphore>,
    pub(crate) links: Arc<Links>,
    pub(crate) limits: Limits,
}

impl App {
    /// A gateway that asks `controller`, recognises callers by `keys` and counts in `metrics`.
    pub fn new(controller: impl Ask + 'static, keys: impl Authenticate + 'static, metrics: Metrics) -> Self {
        Self {
            controller: Arc::new(controller),
            keys: Arc::new(keys),
            policy: Policy,
            metrics,
            closing: CancellationToken::new(),
            streams: TaskTracker::new(),
            links: Arc::default(),
            limits: Limits::default(),
            sockets: Arc::new(Semaphore::new(limits::WEBSOCKETS_MAX)),
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}
