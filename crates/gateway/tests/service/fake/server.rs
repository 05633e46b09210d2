//! What the server has, and what was used of it, as the fake has it.

use async_trait::async_trait;
use sentinal_auth::{Permit, ReadEngine, ReadQuota, ReadUsage};
use sentinal_controller::{EngineStatus, Health, Quota, UsageQuery, UsageRecord};
use sentinal_gateway::AskServer;
use sentinal_model::{EngineName, Result};

use super::Fake;

#[async_trait]
impl AskServer for Fake {
    fn engines(&self, _: &Permit<ReadEngine>) -> Vec<EngineStatus> {
        let usable =
            |name| if name == EngineName::Gvisor { Ok("runsc 1".to_owned()) } else { Err("not here".to_owned()) };
        EngineName::ALL
            .map(|name| EngineStatus { name, allowed: name != EngineName::Native, usable: usable(name) })
            .into()
    }

    async fn usage(&self, _: &Permit<ReadUsage>, _: UsageQuery) -> Result<Vec<UsageRecord>> {
        Ok(Vec::new())
    }

    fn quotas(&self, _: &Permit<ReadQuota>) -> Vec<Quota> {
        Vec::new()
    }

    fn health(&self) -> Health {
        let node = if self.state().sick { Err("it does not answer".to_owned()) } else { Ok(()) };
        Health { node }
    }
}
