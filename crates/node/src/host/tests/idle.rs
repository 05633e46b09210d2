use std::time::Duration;

use sentinal_engine::fake::{Behaviour, Verb};
use sentinal_model::Millis;
use sentinal_node_protocol::{EndReason, Keep, NodeEvent, Place};
use tokio::time::{Instant, advance, timeout};

use super::*;
use crate::{
    limits::IDLE_GRACE,
    testing::{TTL, id, keep, named},
};

const IDLE: InstanceState = InstanceState::Ended(EndReason::Idle);
const TIMEOUT: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_secs(1);

async fn up(host: &Arc<Host>, number: u8) {
    let place = Place { idle_timeout: Some(TIMEOUT), ..testing::place(id(number), G1) };
    Arc::clone(host).place(place).await.unwrap();
    host.booted(id(number), G1).await.unwrap();
}

async fn kept(host: &Arc<Host>, busy_for: Duration) -> Result<(), NodeError> {
    said(host, 1, busy_for).await
}

/// The moments at which things are said count up.
async fn said(host: &Arc<Host>, at: i64, busy_for: Duration) -> Result<(), NodeError> {
    Arc::clone(host).keep(Keep { said_at: Millis(at), ..keep(id(1), G1, busy_for) }).await
}

/// It is ended so long from now, not sooner and not much later.
async fn ends_after(host: &Host, expected: Duration) {
    let began = Instant::now();
    let mut events = host.events.subscribe();
    let ended = NodeEvent::InstanceEnded { id: id(1), generation: G1, reason: EndReason::Idle };
    assert_eq!(events.recv().await, Ok(ended));
    let waited = began.elapsed();
    assert!(expected <= waited && waited < expected + MOMENT, "{waited:?}, not {expected:?}");
    assert_eq!(host.listed(id(1)), Some((G1, IDLE)));
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_of_which_nothing_is_said_is_idle_since_its_boot() {
    let machine = Machine::new();
    let host = start(&machine).await;
    up(&host, 1).await;
    ends_after(&host, TIMEOUT + IDLE_GRACE).await;
    assert!(machine.engine.state(&id(1)).is_none());
    assert!(0 < host.halted(id(1), G1).await.unwrap().cpu_us);
    assert!(host.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_last_word_counts() {
    let machine = Machine::new();
    let host = start(&machine).await;
    up(&host, 1).await;
    advance(TIMEOUT).await;
    said(&host, 1, 10 * MOMENT).await.unwrap();
    said(&host, 2, 100 * MOMENT).await.unwrap();
    advance(50 * MOMENT).await;
    said(&host, 3, Duration::ZERO).await.unwrap();
    ends_after(&host, TIMEOUT + IDLE_GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn a_word_that_arrives_late_takes_nothing_back() {
    let machine = Machine::new();
    let host = start(&machine).await;
    up(&host, 1).await;
    said(&host, 2, 100 * MOMENT).await.unwrap();
    said(&host, 1, Duration::ZERO).await.unwrap();
    crash(host).await;
    let host = start(&machine).await;
    said(&host, 1, Duration::ZERO).await.unwrap();
    ends_after(&host, 100 * MOMENT + TIMEOUT + IDLE_GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_in_use_is_so_after_a_pause() {
    let machine = Machine::new();
    let host = start(&machine).await;
    up(&host, 1).await;
    kept(&host, 100 * MOMENT).await.unwrap();
    Arc::clone(&host).pause(named(id(1), G1)).await.unwrap();
    Arc::clone(&host).resume(named(id(1), G1)).await.unwrap();
    ends_after(&host, 100 * MOMENT + TIMEOUT + IDLE_GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn the_next_node_knows_how_long_it_is_in_use() {
    let machine = Machine::new();
    let host = start(&machine).await;
    up(&host, 1).await;
    kept(&host, 100 * MOMENT).await.unwrap();
    crash(host).await;
    machine.clock.step(60_000);
    let host = start(&machine).await;
    ends_after(&host, 40 * MOMENT + TIMEOUT + IDLE_GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_has_time_to_say_something_to_the_next_node() {
    let machine = Machine::new();
    let host = start(&machine).await;
    up(&host, 1).await;
    crash(host).await;
    machine.clock.step(100_000);
    let host = start(&machine).await;
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Running)));
    ends_after(&host, TIMEOUT + IDLE_GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_nobody_uses_rests_whether_or_not_it_may_be_idle() {
    let machine = Machine::new();
    let host = start(&machine).await;
    up(&host, 1).await;
    Arc::clone(&host).place(testing::place(id(2), G1)).await.unwrap();
    host.booted(id(2), G1).await.unwrap();
    for number in [1, 2] {
        Arc::clone(&host).keep(keep(id(number), G1, Duration::ZERO)).await.unwrap();
        Arc::clone(&host).keep(keep(id(number), G1, MOMENT)).await.unwrap();
    }
    assert_eq!((machine.engine.calls(Verb::Rest), machine.engine.calls(Verb::Rouse)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_cannot_let_it_rest_changes_nothing() {
    let machine = Machine::new();
    let host = start(&machine).await;
    up(&host, 1).await;
    machine.engine.set(Verb::Rest, Behaviour::Hangs);
    kept(&host, Duration::ZERO).await.unwrap();
    machine.engine.set(Verb::Rest, Behaviour::Fails);
    kept(&host, Duration::ZERO).await.unwrap();
    ends_after(&host, TIMEOUT + IDLE_GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_in_use_ends_at_its_ttl_all_the_same() {
    let machine = Machine::new();
    let host = start(&machine).await;
    up(&host, 1).await;
    kept(&host, Duration::MAX).await.unwrap();
    let mut events = host.events.subscribe();
    assert!(timeout(TTL.saturating_sub(MOMENT), events.recv()).await.is_err());
    let ended = NodeEvent::InstanceEnded { id: id(1), generation: G1, reason: EndReason::Expired };
    assert_eq!(events.recv().await, Ok(ended));
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_its_agent_ended_was_idle() {
    let machine = Machine::new();
    let host = start(&machine).await;
    up(&host, 1).await;
    up(&host, 2).await;
    Arc::clone(&host).keep(keep(id(2), G1, 100 * MOMENT)).await.unwrap();
    machine.clock.step(i64::try_from(TIMEOUT.as_millis()).unwrap());
    let mut events = host.events.subscribe();
    for (number, reason) in [(1, EndReason::Idle), (2, EndReason::Exited)] {
        machine.engine.end(&id(number), sentinal_engine::EndReason::Exited);
        let ended = NodeEvent::InstanceEnded { id: id(number), generation: G1, reason };
        assert_eq!(events.recv().await, Ok(ended));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_whose_agent_ended_it_while_no_node_ran_was_idle() {
    let machine = Machine::new();
    let host = start(&machine).await;
    up(&host, 1).await;
    up(&host, 2).await;
    crash(host).await;
    machine.engine.lose(&id(1));
    machine.engine.end(&id(2), sentinal_engine::EndReason::Exited);
    machine.clock.step(i64::try_from(TIMEOUT.as_millis()).unwrap());
    let host = start(&machine).await;
    for number in [1, 2] {
        assert_eq!(host.listed(id(number)), Some((G1, IDLE)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_timeout_may_come_after_the_boot() {
    for used in [None, Some(100 * MOMENT)] {
        let machine = Machine::new();
        let host = start(&machine).await;
        host.up(id(1)).await;
        if let Some(used) = used {
            kept(&host, used).await.unwrap();
        }
        let place = Place { idle_timeout: Some(TIMEOUT), ..testing::place(id(1), G1) };
        let refused = Arc::clone(&host).place(place.clone()).await;
        assert!(matches!(refused, Err(NodeError::PlacedDifferently { .. })), "{refused:?}");
        Arc::clone(&host).place(Place { generation: G2, ..place }).await.unwrap();
        let began = Instant::now();
        let mut events = host.events.subscribe();
        let ended = NodeEvent::InstanceEnded { id: id(1), generation: G2, reason: EndReason::Idle };
        assert_eq!(events.recv().await, Ok(ended));
        let least = used.unwrap_or_default() + TIMEOUT + IDLE_GRACE;
        assert!(least <= began.elapsed() && began.elapsed() < least + MOMENT, "{used:?}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_is_up_is_kept() {
    let machine = Machine::new();
    let host = start(&machine).await;
    assert!(matches!(kept(&host, MOMENT).await, Err(NodeError::NotFound { .. })));
    host.placed(id(1), G2).await.unwrap();
    assert_older(kept(&host, MOMENT).await, G1, G2);
    let answer = Arc::clone(&host).keep(keep(id(1), G2, MOMENT)).await;
    assert!(matches!(answer, Err(NodeError::WrongState { .. })), "{answer:?}");
    host.halted(id(1), G2).await.unwrap();
    let answer = Arc::clone(&host).keep(keep(id(1), G2, MOMENT)).await;
    assert!(matches!(answer, Err(NodeError::NotFound { .. })), "{answer:?}");
}
