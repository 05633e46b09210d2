//! The engines, as the node's last probes found them.

use sentinal_auth::{Permit, ReadEngine};
use sentinal_model::EngineName;
use sentinal_node_protocol::Probe;

use crate::api::Controller;

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
