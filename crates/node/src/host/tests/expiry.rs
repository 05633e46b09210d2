use std::time::Duration;

use sentinal_engine::fake::{Behaviour, Verb};
use sentinal_model::limits::NODE_TTL_GRACE;
use sentinal_node_protocol::{EndReason, NodeEvent, Place};
use tokio::time::{Instant, advance, timeout};

use super::*;
use crate::testing::{TTL, id, keep};

const EXPIRED: InstanceState = InstanceState::Ended(EndReason::Expired);

#[tokio::test(start_paused = true)]
async fn a_sandbox_past_its_ttl_is_ended_a_little_later_by_the_node() {
    let machine = Machine::new();
    let host = start(&machine).await;
    let mut events = host.events.subscribe();
    let began = Instant::now();
    host.up(id(1)).await;
    let ended = NodeEvent::InstanceEnded { id: id(1), generation: G1, reason: EndReason::Expired };
    assert_eq!(events.recv().await, Ok(ended));
    let waited = began.elapsed();
    assert!(TTL + NODE_TTL_GRACE <= waited && waited < TTL + NODE_TTL_GRACE + Duration::from_secs(1), "{waited:?}");
    assert_eq!(host.listed(id(1)), Some((G1, EXPIRED)));
    assert!(machine.engine.state(&id(1)).is_none());
    assert!(0 < host.halted(id(1), G1).await.unwrap().cpu_us);
    assert!(host.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_step_of_the_wall_clock_moves_no_end() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.up(id(1)).await;
    machine.clock.step(-3_600_000);
    // Whatever is said or done to it afterwards.
    Arc::clone(&host).keep(keep(id(1), G1, Duration::from_secs(1))).await.unwrap();
    Arc::clone(&host).pause(testing::named(id(1), G1)).await.unwrap();
    Arc::clone(&host).resume(testing::named(id(1), G1)).await.unwrap();
    advance(TTL).await;
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Running)));
    let mut events = host.events.subscribe();
    assert!(timeout(NODE_TTL_GRACE * 2, events.recv()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_moved_is_the_one_that_counts() {
    for (moved, after) in [("sooner", 10), ("later", 2 * TTL.as_secs())] {
        let after = Duration::from_secs(after);
        let machine = Machine::new();
        let host = start(&machine).await;
        host.up(id(1)).await;
        let other = Place { expires_at: testing::NOW.after(after), ..testing::place(id(1), G2) };
        Arc::clone(&host).place(other).await.unwrap();
        assert_eq!(host.listed(id(1)), Some((G2, InstanceState::Running)));
        crash(host).await;
        let host = start(&machine).await;
        let (mut events, began) = (host.events.subscribe(), Instant::now());
        let ended = events.recv().await.unwrap();
        assert_eq!(ended, NodeEvent::InstanceEnded { id: id(1), generation: G2, reason: EndReason::Expired });
        let (waited, least) = (began.elapsed(), after + NODE_TTL_GRACE);
        assert!(least <= waited && waited < least + Duration::from_secs(1), "{moved}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_has_come_is_not_moved_any_more() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.up(id(1)).await;
    machine.engine.set(Verb::Halt, Behaviour::Fails);
    advance(TTL + NODE_TTL_GRACE * 2).await;
    machine.engine.called(Verb::Halt, 1).await;
    let later = Place { expires_at: testing::NOW.after(TTL * 2), ..testing::place(id(1), G2) };
    let refused = Arc::clone(&host).place(later).await;
    assert!(matches!(refused, Err(NodeError::WrongState { .. })), "{refused:?}");
    let mut events = host.events.subscribe();
    machine.engine.set(Verb::Halt, Behaviour::Works);
    assert!(timeout(NODE_TTL_GRACE * 30, events.recv()).await.is_ok());
    assert_eq!(host.listed(id(1)), Some((G2, EXPIRED)));
}

#[tokio::test(start_paused = true)]
async fn no_request_makes_a_sandbox_immortal() {
    let machine = Machine::new();
    let host = start(&machine).await;
    let place = Place { expires_at: sentinal_model::Millis(i64::MAX), ..testing::place(id(1), G1) };
    Arc::clone(&host).place(place).await.unwrap();
    let mut events = host.events.subscribe();
    let day = sentinal_model::limits::TTL_MAX + NODE_TTL_GRACE * 2;
    assert!(timeout(day, events.recv()).await.is_ok());
    assert_eq!(host.listed(id(1)), Some((G1, EXPIRED)));
}

#[tokio::test(start_paused = true)]
async fn the_ttl_breaks_into_a_boot_and_nothing_is_booted_after_it() {
    let machine = Machine::new();
    machine.engine.set(Verb::Boot, Behaviour::Hangs);
    let host = start(&machine).await;
    let soon = Place { expires_at: testing::NOW.after(Duration::from_secs(1)), ..testing::place(id(1), G1) };
    Arc::clone(&host).place(soon).await.unwrap();
    let answer = host.booted(id(1), G1).await;
    assert!(matches!(answer, Err(NodeError::Halted { .. })), "{answer:?}");
    let mut events = host.events.subscribe();
    while host.listed(id(1)) != Some((G1, EXPIRED)) {
        let _ = timeout(Duration::from_millis(10), events.recv()).await;
    }
    machine.engine.set(Verb::Boot, Behaviour::Works);
    let answer = host.booted(id(1), G1).await;
    assert!(matches!(answer, Err(NodeError::WrongState { .. })), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn ending_an_expired_sandbox_is_tried_until_it_works() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.up(id(1)).await;
    machine.engine.set(Verb::Halt, Behaviour::Fails);
    machine.engine.called(Verb::Halt, 3).await;
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Running)));
    let mut events = host.events.subscribe();
    machine.engine.set(Verb::Halt, Behaviour::Works);
    assert!(events.recv().await.is_ok());
    assert_eq!(host.listed(id(1)), Some((G1, EXPIRED)));
}

#[tokio::test(start_paused = true)]
async fn the_next_node_ends_what_expired_while_none_ran() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.up(id(1)).await;
    crash(host).await;
    machine.clock.step(i64::try_from(TTL.as_millis()).unwrap() + 10);
    let host = start(&machine).await;
    let mut events = host.events.subscribe();
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Running)));
    assert!(timeout(NODE_TTL_GRACE * 2, events.recv()).await.is_ok());
    assert_eq!(host.listed(id(1)), Some((G1, EXPIRED)));
    assert!(machine.engine.state(&id(1)).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_orphan_ends_at_last() {
    let machine = Machine::new();
    machine.engine.put(id(7), sentinal_engine::InstanceState::Running);
    let host = start(&machine).await;
    assert_eq!(host.listed(id(7)), Some((sentinal_model::Generation(0), InstanceState::Partial)));
    machine.engine.called(Verb::Halt, 1).await;
    while !host.list().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(machine.engine.state(&id(7)).is_none());
}
