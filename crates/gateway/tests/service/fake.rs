//! A controller without sandboxes. What a program's line says is what it does.

mod events;
mod executions;
mod files;
mod images;
mod interactive;
mod keys;
mod sandboxes;
mod server;
mod webhooks;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use sentinal_controller::{ExecutionRecord, SandboxRecord, WebhookRecord};
use sentinal_model::{
    Code, EngineName, Error, Event, ExecutionId, Generation, Millis, NodeId, Phase, Placement, Result, SandboxId, Spec,
    TenantId, WebhookId,
};
use tokio::sync::watch;

const NOW: Millis = Millis(1_764_000_000_000);

#[derive(Debug, Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) sandboxes: BTreeMap<SandboxId, SandboxRecord>,
    pub(crate) executions: BTreeMap<ExecutionId, ExecutionRecord>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) webhooks: BTreeMap<WebhookId, WebhookRecord>,
    /// Uploads whose body broke off, with what was said.
    pub(crate) broken: Vec<String>,
    /// Followers that are there.
    pub(crate) followers: usize,
    /// What the next call answers instead.
    pub(crate) failure: Option<Error>,
    pub(crate) sick: bool,
    pub(crate) news: watch::Sender<()>,
}

impl Fake {
    pub(crate) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A sandbox that runs.
    pub(crate) fn sandbox(&self) -> SandboxId {
        let spec = serde_json::from_str::<sentinal_api::CreateSandbox>("{}").unwrap();
        self.insert(sentinal_api::ParsedCreate::try_from(spec).unwrap().spec).id
    }

    fn insert(&self, spec: Spec) -> SandboxRecord {
        let placement = Placement { node: NodeId::local(), engine: EngineName::Gvisor, reason: "the strongest".into() };
        let record = SandboxRecord {
            id: SandboxId::generate(),
            tenant: TenantId::default_tenant(),
            generation: Generation::FIRST,
            phase: Phase::Running(placement),
            engine: Some(EngineName::Gvisor),
            node: Some(NodeId::local()),
            engine_reason: "the strongest".into(),
            message: String::new(),
            token: [0; 32],
            one_shot: false,
            pooled: None,
            key: None,
            created_at: NOW,
            expires_at: NOW.after(spec.ttl),
            paused_at: None,
            paused_for: Duration::ZERO,
            finished_at: None,
            spec,
        };
        self.state().sandboxes.insert(record.id, record.clone());
        record
    }

    fn failure(&self) -> Result<()> {
        self.state().failure.take().map_or(Ok(()), Err)
    }

    fn known(&self, id: SandboxId) -> Result<SandboxRecord> {
        self.failure()?;
        self.state().sandboxes.get(&id).cloned().ok_or_else(|| Error::not_found("there is no such sandbox"))
    }

    fn changed(&self, id: SandboxId, event: Event) -> Result<SandboxRecord> {
        let mut record = self.known(id)?;
        record.phase = record.phase.on(event).map_err(|rejected| Error::new(Code::Conflict, rejected.to_string()))?;
        self.state().sandboxes.insert(id, record.clone());
        Ok(record)
    }
}
