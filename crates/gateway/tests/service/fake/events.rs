//! What happened, as the fake has it.

use async_trait::async_trait;
use sentinal_auth::{Permit, ReadLogs};
use sentinal_controller::{EventQuery, EventRecord, LogEntry, LogQuery};
use sentinal_gateway::AskEvents;
use sentinal_model::{Error, Result, SandboxId, TenantId};
use sentinal_store::NewEvent;
use tokio::sync::watch;

use super::{Fake, NOW};

#[async_trait]
impl AskEvents for Fake {
    async fn logs(&self, _: &Permit<ReadLogs>, query: LogQuery) -> Result<Vec<LogEntry>> {
        let after: u32 =
            query.after.map_or(Ok(0), |text| text.parse()).map_err(|_| Error::invalid("cursor: unknown"))?;
        let entry = |n: u32| LogEntry {
            cursor: n.to_string(),
            time: NOW,
            kind: "audit".into(),
            sandbox: None,
            execution: None,
            stream: None,
            message: format!("entry {n}"),
        };
        Ok((after + 1..=5).take(usize::try_from(query.rows_max).unwrap()).map(entry).collect())
    }

    async fn events(&self, _: &Permit<ReadLogs>, query: EventQuery) -> Result<Vec<EventRecord>> {
        let event = |cursor: i64| {
            let (name, kind, message) = ("Sandbox Created".into(), "audit".into(), format!("event {cursor}"));
            let tenant = TenantId::default_tenant();
            EventRecord {
                cursor,
                event: NewEvent { tenant, at: NOW, name, kind, sandbox: None, execution: None, message },
            }
        };
        Ok((query.after + 1..=5).take(usize::try_from(query.rows_max).unwrap()).map(event).collect())
    }

    async fn last_event(&self, _: &Permit<ReadLogs>) -> Result<i64> {
        Ok(5)
    }

    fn news(&self, _: &Permit<ReadLogs>, _: Option<SandboxId>) -> watch::Receiver<()> {
        self.state().news.subscribe()
    }
}
