use std::time::Duration;

use sentinal_engine::fake::{Behaviour, Verb};
use sentinal_node_protocol::{EndReason, NodeEvent, Place};
use tokio::time::timeout;

use super::*;
use crate::testing::{TTL, id, named};

impl Host {
    async fn paused(self: &Arc<Self>, generation: Generation) -> Result<(), NodeError> {
        Arc::clone(self).pause(named(id(1), generation)).await
    }

    async fn resumed(self: &Arc<Self>, generation: Generation) -> Result<(), NodeError> {
        Arc::clone(self).resume(named(id(1), generation)).await
    }

    fn state(&self) -> Option<InstanceState> {
        self.listed(id(1)).map(|(_, state)| state)
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_sandbox_is_listed_as_paused_until_it_is_resumed() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.up(id(1)).await;
    for _ in 0..2 {
        host.paused(G2).await.unwrap();
        assert_eq!(host.state(), Some(InstanceState::Paused));
        assert_eq!(machine.engine.state(&id(1)), Some(sentinal_engine::InstanceState::Paused));
    }
    for _ in 0..2 {
        host.resumed(G3).await.unwrap();
        assert_eq!(host.state(), Some(InstanceState::Running));
        assert_eq!(machine.engine.state(&id(1)), Some(sentinal_engine::InstanceState::Running));
    }
    assert_older(host.paused(G2).await, G2, G3);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_up_is_paused() {
    let machine = Machine::new();
    let host = start(&machine).await;
    assert!(matches!(host.paused(G1).await, Err(NodeError::NotFound { .. })));
    host.placed(id(1), G1).await.unwrap();
    assert!(matches!(host.paused(G1).await, Err(NodeError::WrongState { .. })));
    host.booted(id(1), G1).await.unwrap();
    host.paused(G1).await.unwrap();
    host.booted(id(1), G1).await.unwrap();
    host.placed(id(1), G2).await.unwrap();
    assert_eq!(host.state(), Some(InstanceState::Paused), "a server that takes over what is paused");
    host.halted(id(1), G2).await.unwrap();
    assert!(host.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_next_node_believes_the_engine() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.up(id(1)).await;
    host.paused(G1).await.unwrap();
    crash(host).await;
    let host = start(&machine).await;
    assert_eq!(host.state(), Some(InstanceState::Paused));
    crash(host).await;
    machine.engine.put(id(1), sentinal_engine::InstanceState::Running);
    let host = start(&machine).await;
    assert_eq!(host.state(), Some(InstanceState::Running));
    crash(host).await;
    machine.engine.put(id(1), sentinal_engine::InstanceState::Paused);
    assert_eq!(start(&machine).await.state(), Some(InstanceState::Paused));
}

#[tokio::test(start_paused = true)]
async fn a_paused_sandbox_is_not_idle_but_expires() {
    let machine = Machine::new();
    let host = start(&machine).await;
    let place = Place { idle_timeout: Some(Duration::from_secs(5)), ..testing::place(id(1), G1) };
    Arc::clone(&host).place(place).await.unwrap();
    host.booted(id(1), G1).await.unwrap();
    host.paused(G1).await.unwrap();
    let mut events = host.events.subscribe();
    assert!(timeout(TTL.saturating_sub(Duration::from_secs(1)), events.recv()).await.is_err());
    let expired = NodeEvent::InstanceEnded { id: id(1), generation: G1, reason: EndReason::Expired };
    assert_eq!(events.recv().await, Ok(expired));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_paused_sandbox_is_seen() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.up(id(1)).await;
    host.paused(G1).await.unwrap();
    let mut events = host.events.subscribe();
    machine.engine.end(&id(1), sentinal_engine::EndReason::Oom);
    let ended = NodeEvent::InstanceEnded { id: id(1), generation: G1, reason: EndReason::Oom };
    assert_eq!(events.recv().await, Ok(ended));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_hangs_or_fails_leaves_it_as_it_was() {
    for behaviour in [Behaviour::Hangs, Behaviour::Fails] {
        let machine = Machine::new();
        machine.engine.set(Verb::Pause, behaviour);
        let host = start(&machine).await;
        host.up(id(1)).await;
        assert!(host.paused(G1).await.is_err());
        assert_eq!(host.state(), Some(InstanceState::Running));
        host.halted(id(1), G1).await.unwrap();
    }
}
