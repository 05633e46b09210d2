//! What every part of the controller works with.

use std::{sync::Arc, time::Duration};

use sentinal_agent_client::Agents;
use sentinal_auth::Keys;
use sentinal_model::{Clock, Error, FreeSpace, Millis, Pool, Quotas, Result, limits};
use sentinal_node_protocol::Node;
use sentinal_scheduler::Policy;
use sentinal_store::{Store, Write};
use sentinal_telemetry::Metrics;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{
    entropy::Entropy,
    idempotency::Requests,
    images::{Jobs, MakeImages},
    live::LiveExecutions,
    news::{self, News},
    observe::NodeState,
    outputs::OutputFiles,
    pool::Pools,
    quota::StoredOutput,
    table::Table,
    transfers::Downloads,
    webhooks::{SendWebhooks, Webhooks},
};

/// What the operator decided.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the scheduler may choose from.
    pub policy: Policy,
    /// What is kept booted for whoever asks; each of a shape of its own.
    pub pools: Vec<Pool>,
    /// What is to be free where images are, before those go that nobody names or uses.
    pub images_free: FreeSpace,
    /// How much a tenant may have at once.
    pub quotas: Quotas,
    /// How long an event that could not be delivered waits at first; each further wait is longer.
    pub webhook_retry: Duration,
    /// Output of one stream that is stored, in bytes; what comes after is counted and dropped.
    pub output_stored_bytes: u64,
    /// How long what has ended stays readable.
    pub retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            pools: Vec::new(),
            images_free: FreeSpace::default(),
            quotas: Quotas::default(),
            webhook_retry: limits::WEBHOOK_RETRY_DEFAULT,
            output_stored_bytes: limits::OUTPUT_STORED_BYTES_MAX,
            retention: limits::RETENTION,
        }
    }
}

/// What a controller is made of.
#[derive(Debug)]
pub struct Parts {
    /// What must survive.
    pub store: Arc<dyn Store>,
    /// The machine that runs sandboxes.
    pub node: Arc<dyn Node>,
    /// The server's side of the agents.
    pub agents: Agents,
    /// Where output goes that is too large for a row.
    pub outputs: Arc<dyn OutputFiles>,
    /// Who makes images out of what others have made.
    pub images: Arc<dyn MakeImages>,
    /// Who sends events to the outside.
    pub webhooks: Arc<dyn SendWebhooks>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where ids and tokens come from.
    pub entropy: Arc<dyn Entropy>,
    /// The figures.
    pub metrics: Metrics,
    /// What the operator decided.
    pub settings: Settings,
}

/// Everything the controller's tasks share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) parts: Parts,
    /// Sandboxes that are not finished.
    pub(crate) table: Table,
    /// Executions that run.
    pub(crate) live: LiveExecutions,
    /// What the node last said of itself.
    pub(crate) node_state: NodeState,
    /// What callers and the keeper of the pools know of each other.
    pub(crate) pools: Pools,
    /// Images that are being pulled.
    pub(crate) image_jobs: Jobs,
    /// The idempotency keys of requests that are under way.
    pub(crate) requests: Requests,
    /// The keys that are taken.
    pub(crate) keys: Arc<Keys>,
    /// How much output is stored.
    pub(crate) stored: StoredOutput,
    /// What was downloaded and is not in the sums yet.
    pub(crate) downloads: Downloads,
    /// Who waits for events.
    pub(crate) news: News,
    /// The tasks that deliver events.
    pub(crate) webhooks: Webhooks,
    /// Ends every task, leaving sandboxes as they are.
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Context {
    pub(crate) fn now(&self) -> Millis {
        self.parts.clock.now()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.parts.store.as_ref()
    }

    /// Applies all of `writes` in one transaction, durably.
    pub(crate) async fn write(&self, writes: Vec<Write>) -> Result<()> {
        let (asked, count) = (Instant::now(), writes.len());
        let subjects = news::subjects(&writes);
        let written = self.parts.store.write(writes).await;
        // Of what was not written, nobody finds anything.
        self.news.tell(&subjects);
        written?;
        self.metrics().store_committed(asked.elapsed(), count);
        Ok(())
    }

    pub(crate) fn node(&self) -> &dyn Node {
        self.parts.node.as_ref()
    }

    pub(crate) fn outputs(&self) -> &Arc<dyn OutputFiles> {
        &self.parts.outputs
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    /// Runs `work` to its end even if the caller leaves half-way, as clients do that disconnect.
    pub(crate) async fn complete<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let done = self.tasks.spawn(work.in_current_span()).await;
        done.unwrap_or_else(|error| Err(Error::internal(&error)))
    }

    /// Runs a task until it ends or the server stops.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            shutdown.run_until_cancelled(task).await;
        });
    }
}
