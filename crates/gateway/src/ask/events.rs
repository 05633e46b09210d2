//! What happened, as the gateway asks for it.

use async_trait::async_trait;
use sentinal_auth::{Permit, ReadLogs};
use sentinal_controller::{Controller, EventQuery, EventRecord, LogEntry, LogQuery};
use sentinal_model::{Result, SandboxId};
use tokio::sync::watch;

/// What happened.
#[async_trait]
#[expect(missing_docs, reason = "the controller's own methods say it")]
pub trait AskEvents: Send + Sync {
    async fn logs(&self, permit: &Permit<ReadLogs>, query: LogQuery) -> Result<Vec<LogEntry>>;
    async fn events(&self, permit: &Permit<ReadLogs>, query: EventQuery) -> Result<Vec<EventRecord>>;
    async fn last_event(&self, permit: &Permit<ReadLogs>) -> Result<i64>;
    fn news(&self, permit: &Permit<ReadLogs>, sandbox: Option<SandboxId>) -> watch::Receiver<()>;
}

#[async_trait]
impl AskEvents for Controller {
    async fn logs(&self, permit: &Permit<ReadLogs>, query: LogQuery) -> Result<Vec<LogEntry>> {
        self.logs(permit, query).await
    }

    async fn events(&self, permit: &Permit<ReadLogs>, query: EventQuery) -> Result<Vec<EventRecord>> {
        self.events(permit, query).await
    }

    async fn last_event(&self, permit: &Permit<ReadLogs>) -> Result<i64> {
        self.last_event(permit).await
    }

    fn news(&self, permit: &Permit<ReadLogs>, sandbox: Option<SandboxId>) -> watch::Receiver<()> {
        self.news(permit, sandbox)
    }
}
