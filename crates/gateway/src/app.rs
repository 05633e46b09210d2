//! What every handler can reach.

use std::sync::Arc;

use sentinal_auth::Policy;
use sentinal_model::limits;
use sentinal_telemetry::Metrics;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Ask, Authenticate, links::Links};

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
            sockets: Arc::new(Semaphore::new(limits::WEBSOCKETS_MAX)),
        }
    }
}
