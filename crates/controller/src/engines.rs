//! The engines, as the node's last probes found them.

use std::time::Duration;

use sentinal_auth::{Permit, ReadEngine};
use sentinal_model::EngineName;
use sentinal_node_protocol::Probe;
use tokio::time::{sleep, timeout};

use crate::api::Controller;

/// How often to look whether the node has answered.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// An engine and whether it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineStatus {
    /// Which engine.
    pub name: EngineName,
    /// Whether the policy's minimum isolation allows it.
    pub allowed: bool,
    /// The version that answered its last probe, or why it cannot be used.
    pub usable: std::result::Result<String, String>,
}

impl Controller {
    /// All engines, strongest isolation first. Answered from what is known.
    pub fn engines(&self, _permit: &Permit<ReadEngine>) -> Vec<EngineStatus> {
        self.own_engines()
    }

    /// The same for the server itself, once the node has answered or `deadline` is over.
    pub async fn engines_at_start(&self, deadline: Duration) -> Vec<EngineStatus> {
        let answered = async {
            while self.context.node_state.view().is_err() {
                sleep(POLL_EVERY).await;
            }
        };
        // Whether it did is what the engines say.
        let _ = timeout(deadline, answered).await;
        self.own_engines()
    }

    fn own_engines(&self) -> Vec<EngineStatus> {
        let view = self.context.node_state.view();
        let minimum = self.context.parts.settings.policy.minimum_isolation;
        let usable = |name| {
            let view = &view.as_ref().map_err(Clone::clone)?.view;
            match view.engines.iter().find(|engine| engine.name == name).map(|engine| &engine.probe) {
                Some(Probe::Available { version }) => Ok(version.clone()),
                Some(Probe::Unavailable { reason }) => Err(reason.clone()),
                None => Err("not part of this node".to_owned()),
            }
        };
        let status =
            |name: EngineName| EngineStatus { name, allowed: minimum <= name.isolation(), usable: usable(name) };
        EngineName::ALL.map(status).to_vec()
    }
}
