use sentinal_engine::fake::{Behaviour, Verb};
use sentinal_model::EngineName;
use sentinal_node_protocol::{EndReason, NodeEvent, Place};

use super::*;
use crate::testing::id;

#[tokio::test(start_paused = true)]
async fn a_sandbox_is_placed_booted_and_halted() {
    let machine = Machine::new();
    let host = start(&machine).await;
    let folder = host.placed(id(1), G1).await.unwrap();
    assert!(folder.is_dir());
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Partial)));
    host.booted(id(1), G1).await.unwrap();
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Running)));
    assert!(0 < host.stats(id(1)).await.unwrap().cpu_us);
    assert!(0 < host.halted(id(1), G2).await.unwrap().cpu_us);
    assert_eq!(host.listed(id(1)), None);
    assert!(!folder.parent().unwrap().exists() && machine.engine.state(&id(1)).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_agent_is_told_its_token_epoch_and_deadline() {
    let machine = Machine::new();
    let host = start(&machine).await;
    let folder = host.placed(id(1), G1).await.unwrap();
    host.booted(id(1), G1).await.unwrap();
    let spec = machine.engine.spec(&id(1)).unwrap();
    let token = "ab".repeat(32);
    let expected = [("SENTINAL_TOKEN", token.as_str()), ("SENTINAL_EPOCH", "1"), ("SENTINAL_DEADLINE_MS", "304000")];
    assert_eq!(spec.agent_env, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(spec.socket_folder, folder);
    assert!(spec.folder.is_dir());
}

#[tokio::test(start_paused = true)]
async fn every_verb_may_be_repeated() {
    let machine = Machine::new();
    let host = start(&machine).await;
    let folder = host.placed(id(1), G1).await.unwrap();
    assert_eq!(host.placed(id(1), G1).await.unwrap(), folder);
    host.booted(id(1), G1).await.unwrap();
    host.booted(id(1), G1).await.unwrap();
    assert_eq!(host.placed(id(1), G1).await.unwrap(), folder);
    assert_eq!(machine.engine.calls(Verb::Boot), 1);
    host.halted(id(1), G2).await.unwrap();
    host.halted(id(1), G2).await.unwrap();
    host.halted(id(2), G1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_older_generation_is_refused_before_and_after_the_halt() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.placed(id(1), G2).await.unwrap();
    assert_older(host.placed(id(1), G1).await, G1, G2);
    assert_older(host.booted(id(1), G1).await, G1, G2);
    assert_older(host.halted(id(1), G1).await, G1, G2);
    host.booted(id(1), G2).await.unwrap();
    host.halted(id(1), G3).await.unwrap();
    assert_older(host.placed(id(1), G2).await, G2, G3);
    assert_older(host.booted(id(1), G2).await, G2, G3);
    assert_older(host.halted(id(1), G2).await, G2, G3);
    assert!(host.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_raises_nothing_and_a_newer_generation_is_recorded() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.placed(id(1), G1).await.unwrap();
    host.booted(id(1), G2).await.unwrap();
    assert_eq!(host.listed(id(1)), Some((G2, InstanceState::Running)));
    crash(host).await;
    let host = start(&machine).await;
    assert_older(host.booted(id(1), G1).await, G1, G2);
}

#[tokio::test(start_paused = true)]
async fn the_same_generation_placed_differently_is_refused() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.placed(id(1), G1).await.unwrap();
    let other = Place { cpu: sentinal_model::Cpu::try_from_cores(2.0).unwrap(), ..testing::place(id(1), G1) };
    let answer = Arc::clone(&host).place(other.clone()).await;
    assert!(matches!(answer, Err(NodeError::PlacedDifferently { .. })), "{answer:?}");
    Arc::clone(&host).place(Place { generation: G2, ..other }).await.unwrap();
    assert_eq!(host.listed(id(1)), Some((G2, InstanceState::Partial)));
}

#[tokio::test(start_paused = true)]
async fn a_newer_server_takes_over_what_is_up() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.up(id(1)).await;
    host.placed(id(1), G2).await.unwrap();
    assert_eq!(host.listed(id(1)), Some((G2, InstanceState::Running)));
    assert_eq!(machine.engine.calls(Verb::Boot), 1);
    let other = Place { image: "other".parse().unwrap(), ..testing::place(id(1), G3) };
    let answer = Arc::clone(&host).place(other).await;
    assert!(matches!(answer, Err(NodeError::WrongState { .. })), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_halt_is_not_overtaken_by_a_place_that_waits_behind_it() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.up(id(1)).await;
    let (halted, placed) = tokio::join!(biased; host.halted(id(1), G1), host.placed(id(1), G2));
    halted.unwrap();
    placed.unwrap();
    assert_eq!(host.listed(id(1)), Some((G2, InstanceState::Partial)));
    assert!(machine.engine.state(&id(1)).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_halt_breaks_into_a_boot() {
    let machine = Machine::new();
    machine.engine.set(Verb::Boot, Behaviour::Hangs);
    let host = start(&machine).await;
    host.placed(id(1), G1).await.unwrap();
    let booting = tokio::spawn({
        let host = Arc::clone(&host);
        async move { host.booted(id(1), G1).await }
    });
    machine.engine.called(Verb::Boot, 1).await;
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Partial)));
    let began = tokio::time::Instant::now();
    host.halted(id(1), G1).await.unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(1));
    let answer = booting.await.unwrap();
    assert!(matches!(answer, Err(NodeError::Halted { .. })), "{answer:?}");
    assert!(machine.engine.state(&id(1)).is_none() && host.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_boot_that_hangs_is_given_up_and_listed_until_it_is_halted() {
    let machine = Machine::new();
    machine.engine.set(Verb::Boot, Behaviour::Hangs);
    let host = start(&machine).await;
    host.placed(id(1), G1).await.unwrap();
    let answer = host.booted(id(1), G1).await;
    assert!(matches!(answer, Err(NodeError::Late { .. })), "{answer:?}");
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Partial)));
    let again = host.booted(id(1), G1).await;
    assert!(matches!(again, Err(NodeError::WrongState { .. })), "{again:?}");
    host.halted(id(1), G1).await.unwrap();
    assert!(machine.engine.state(&id(1)).is_none());
}

#[tokio::test(start_paused = true)]
async fn boots_of_different_sandboxes_do_not_wait_for_one_that_hangs() {
    let machine = Machine::new();
    let host = start(&machine).await;
    for number in [1, 2] {
        host.placed(id(number), G1).await.unwrap();
    }
    machine.engine.set(Verb::Boot, Behaviour::Hangs);
    let hanging = tokio::spawn({
        let host = Arc::clone(&host);
        async move { host.booted(id(1), G1).await }
    });
    machine.engine.called(Verb::Boot, 1).await;
    machine.engine.set(Verb::Boot, Behaviour::Works);
    host.booted(id(2), G1).await.unwrap();
    hanging.abort();
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_said_in_those_words() {
    let machine = Machine::new();
    machine.engine.set(Verb::Boot, Behaviour::FindsDiskFull);
    let host = start(&machine).await;
    host.placed(id(1), G1).await.unwrap();
    let status = tonic::Status::from(host.booted(id(1), G1).await.unwrap_err());
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert!(status.message().contains("disk space"), "{}", status.message());
}

#[tokio::test(start_paused = true)]
async fn what_an_engine_says_stays_in_the_log() {
    let machine = Machine::new();
    machine.engine.set(Verb::Boot, Behaviour::Fails);
    let host = start(&machine).await;
    host.placed(id(1), G1).await.unwrap();
    let status = tonic::Status::from(host.booted(id(1), G1).await.unwrap_err());
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(!status.message().contains("told to fail"), "{}", status.message());
}

#[tokio::test(start_paused = true)]
async fn a_halt_that_fails_is_listed_and_can_be_tried_again() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.up(id(1)).await;
    machine.engine.set(Verb::Halt, Behaviour::Fails);
    host.halted(id(1), G2).await.unwrap_err();
    assert_eq!(host.listed(id(1)), Some((G2, InstanceState::Partial)));
    let booted = host.booted(id(1), G2).await;
    assert!(matches!(booted, Err(NodeError::WrongState { .. })), "{booted:?}");
    machine.engine.set(Verb::Halt, Behaviour::Works);
    host.halted(id(1), G2).await.unwrap();
    assert!(host.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_placed_leaves_nothing() {
    let machine = Machine::new();
    let host = start(&machine).await;
    let unknown = Place { image: "other".parse().unwrap(), ..testing::place(id(1), G1) };
    let answer = Arc::clone(&host).place(unknown).await;
    assert!(matches!(answer, Err(NodeError::Image(_))), "{answer:?}");
    let absent = Place { engine: EngineName::Kata, ..testing::place(id(1), G1) };
    let answer = Arc::clone(&host).place(absent).await;
    assert!(matches!(answer, Err(NodeError::NoSuchEngine(EngineName::Kata))), "{answer:?}");
    assert!(host.list().is_empty() && host.folder.all().unwrap().is_empty());
    host.placed(id(1), G1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_never_placed_cannot_be_booted() {
    let machine = Machine::new();
    let host = start(&machine).await;
    let answer = host.booted(id(1), G1).await;
    assert!(matches!(answer, Err(NodeError::NotFound { .. })), "{answer:?}");
    assert!(matches!(host.stats(id(1)).await, Err(NodeError::NotFound { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_once_and_listed_until_the_halt() {
    let machine = Machine::new();
    let host = start(&machine).await;
    let mut events = host.events.subscribe();
    host.up(id(1)).await;
    machine.engine.end(&id(1), sentinal_engine::EndReason::Oom);
    let ended = NodeEvent::InstanceEnded { id: id(1), generation: G1, reason: EndReason::Oom };
    assert_eq!(events.recv().await, Ok(ended));
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Ended(EndReason::Oom))));
    crash(host).await;
    let host = start(&machine).await;
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Ended(EndReason::Oom))));
    host.halted(id(1), G1).await.unwrap();
    assert!(events.try_recv().is_err() && host.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_end_that_cannot_be_watched_is_watched_again() {
    let machine = Machine::new();
    machine.engine.set(Verb::Ended, Behaviour::Fails);
    let host = start(&machine).await;
    let mut events = host.events.subscribe();
    host.up(id(1)).await;
    machine.engine.called(Verb::Ended, 3).await;
    machine.engine.set(Verb::Ended, Behaviour::Works);
    machine.engine.end(&id(1), sentinal_engine::EndReason::Exited);
    assert!(matches!(events.recv().await, Ok(NodeEvent::InstanceEnded { reason: EndReason::Exited, .. })));
}

#[tokio::test(start_paused = true)]
async fn placing_stops_at_the_limit() {
    let machine = Machine::new();
    let host = start(&machine).await;
    for number in 0..sentinal_model::limits::SANDBOXES_PER_NODE_MAX {
        let id = SandboxId::from_bytes(u128::try_from(number).unwrap().to_be_bytes());
        host.table.find_or_add(id, G1).unwrap();
    }
    let answer = host.placed(id(0xff), G1).await;
    assert!(matches!(answer, Err(NodeError::Full { .. })), "{answer:?}");
    host.halted(id(0xff), G1).await.unwrap();
}
