//! What a node finds after the one before it died, at each step.

use std::{fs, time::Duration};

use sentinal_engine::{
    InstanceState as Found,
    fake::{Behaviour, Verb},
};
use sentinal_node_protocol::{EndReason, Place};

use super::*;
use crate::{folder::Kept, record::Stage, testing::id};

/// A sandbox whose record says `stage` and of which the engine has `found`, and what the next node makes of it.
async fn check(stage: Stage, found: Option<Found>, expected: InstanceState) {
    let machine = Machine::new();
    left_behind(&machine, stage, found).await;
    let host = start(&machine).await;
    assert_eq!(host.listed(id(1)), Some((G1, expected)), "{stage:?} {found:?}");
    host.halted(id(1), G2).await.unwrap();
    assert!(host.list().is_empty() && host.folder.all().unwrap().is_empty());
    assert!(machine.engine.state(&id(1)).is_none(), "{stage:?} {found:?}");
}

async fn left_behind(machine: &Machine, stage: Stage, found: Option<Found>) {
    let host = start(machine).await;
    host.up(id(1)).await;
    crash(host).await;
    let folder = folder(machine).instance(&id(1));
    let Kept::Record(record) = folder.read().unwrap() else { panic!("no record") };
    folder.write(&record.at(stage)).unwrap();
    match found {
        Some(state) => machine.engine.put(id(1), state),
        None => machine.engine.lose(&id(1)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_and_the_engine_together_say_what_there_is() {
    let oom = Found::Ended(sentinal_engine::EndReason::Oom);
    let partial = InstanceState::Partial;
    let exited = InstanceState::Ended(EndReason::Exited);
    check(Stage::Placed, None, partial).await;
    check(Stage::Booting, None, partial).await;
    check(Stage::Booting, Some(Found::Partial), partial).await;
    check(Stage::Booting, Some(Found::Running), InstanceState::Running).await;
    check(Stage::Up, Some(Found::Running), InstanceState::Running).await;
    check(Stage::Up, Some(Found::Paused), InstanceState::Paused).await;
    check(Stage::Up, Some(oom), InstanceState::Ended(EndReason::Oom)).await;
    check(Stage::Up, Some(Found::Partial), exited).await;
    check(Stage::Up, None, exited).await;
    check(Stage::Halting, Some(Found::Running), partial).await;
    check(Stage::Halting, Some(Found::Partial), partial).await;
    check(Stage::Halting, None, partial).await;
    let expired = InstanceState::Ended(EndReason::Expired);
    check(Stage::Ended(EndReason::Expired), None, expired).await;
    check(Stage::Ended(EndReason::Expired), Some(Found::Running), expired).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_while_it_ends_an_idle_sandbox_leaves_word_why() {
    let machine = Machine::new();
    let host = start(&machine).await;
    let place = Place { idle_timeout: Some(Duration::from_secs(20)), ..testing::place(id(1), G1) };
    Arc::clone(&host).place(place).await.unwrap();
    host.booted(id(1), G1).await.unwrap();
    machine.engine.set(Verb::Halt, Behaviour::Hangs);
    machine.engine.called(Verb::Halt, 1).await;
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Running)));
    crash(host).await;
    // What the next node reads off its clock says nothing.
    machine.clock.step(-3_600_000);
    let host = start(&machine).await;
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Ended(EndReason::Idle))));
    machine.engine.set(Verb::Halt, Behaviour::Works);
    while machine.engine.state(&id(1)).is_some() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Ended(EndReason::Idle))));
}

#[tokio::test(start_paused = true)]
async fn an_adopted_instance_is_watched() {
    let machine = Machine::new();
    left_behind(&machine, Stage::Up, Some(Found::Running)).await;
    let host = start(&machine).await;
    let mut events = host.events.subscribe();
    machine.engine.end(&id(1), sentinal_engine::EndReason::Oom);
    events.recv().await.unwrap();
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Ended(EndReason::Oom))));
}

#[tokio::test(start_paused = true)]
async fn a_placed_sandbox_can_be_booted_by_the_next_node() {
    let machine = Machine::new();
    let host = start(&machine).await;
    let folder = host.placed(id(1), G1).await.unwrap();
    crash(host).await;
    let host = start(&machine).await;
    assert_eq!(host.placed(id(1), G1).await.unwrap(), folder);
    host.booted(id(1), G1).await.unwrap();
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Running)));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_in_a_boot_leaves_something_partial() {
    let machine = Machine::new();
    machine.engine.set(Verb::Boot, Behaviour::Hangs);
    let host = start(&machine).await;
    host.placed(id(1), G1).await.unwrap();
    let booting = tokio::spawn({
        let host = Arc::clone(&host);
        async move { host.booted(id(1), G1).await }
    });
    machine.engine.called(Verb::Boot, 1).await;
    booting.abort();
    crash(host).await;
    let host = start(&machine).await;
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Partial)));
    host.halted(id(1), G1).await.unwrap();
    assert!(machine.engine.state(&id(1)).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_folder_without_a_record_is_removed() {
    let machine = Machine::new();
    let host = start(&machine).await;
    host.folder.instance(&id(1)).make().unwrap();
    crash(host).await;
    let host = start(&machine).await;
    assert!(host.list().is_empty() && host.folder.all().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_is_listed_and_can_be_halted() {
    let machine = Machine::new();
    left_behind(&machine, Stage::Up, Some(Found::Running)).await;
    let record = machine.folder.path().join("node/instances").join(id(1).to_string()).join("record.json");
    for damage in ["", "{", "null"] {
        fs::write(&record, damage).unwrap();
        let host = start(&machine).await;
        assert_eq!(host.listed(id(1)), Some((Generation(0), InstanceState::Partial)), "{damage:?}");
        crash(host).await;
    }
    let host = start(&machine).await;
    host.halted(id(1), G1).await.unwrap();
    assert!(machine.engine.state(&id(1)).is_none() && host.folder.all().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_of_another_sandbox_is_not_believed() {
    let machine = Machine::new();
    left_behind(&machine, Stage::Up, Some(Found::Running)).await;
    let instances = machine.folder.path().join("node/instances");
    fs::rename(instances.join(id(1).to_string()), instances.join(id(2).to_string())).unwrap();
    let host = start(&machine).await;
    assert_eq!(host.listed(id(2)), Some((Generation(0), InstanceState::Partial)));
    assert_eq!(host.listed(id(1)), Some((Generation(0), InstanceState::Partial)));
}

#[tokio::test(start_paused = true)]
async fn foreign_files_among_the_instances_are_left_alone() {
    let machine = Machine::new();
    let host = start(&machine).await;
    let foreign = machine.folder.path().join("node/instances/lost+found");
    fs::create_dir(&foreign).unwrap();
    crash(host).await;
    let host = start(&machine).await;
    assert!(foreign.exists() && host.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_of_the_host_what_was_up_has_ended() {
    let mut machine = Machine::new();
    let host = start(&machine).await;
    host.up(id(1)).await;
    host.placed(id(2), G1).await.unwrap();
    crash(host).await;
    machine.restart();
    let host = start(&machine).await;
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Ended(EndReason::HostRestarted))));
    assert_eq!(host.listed(id(2)), Some((G1, InstanceState::Partial)));
    machine.engine.called(Verb::Halt, 1).await;
    crash(host).await;
    let host = start(&machine).await;
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Ended(EndReason::HostRestarted))));
    host.halted(id(1), G2).await.unwrap();
    host.halted(id(2), G2).await.unwrap();
    assert!(host.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_cannot_list_delays_the_start_by_its_deadline_and_is_asked_again() {
    let machine = Machine::new();
    left_behind(&machine, Stage::Up, Some(Found::Running)).await;
    machine.engine.put(id(7), Found::Running);
    machine.engine.set(Verb::List, Behaviour::Hangs);
    let began = tokio::time::Instant::now();
    let host = start(&machine).await;
    assert!(began.elapsed() < Duration::from_secs(11));
    assert_eq!(host.listed(id(1)), Some((G1, InstanceState::Running)));
    assert_eq!(host.listed(id(7)), None);
    machine.engine.set(Verb::List, Behaviour::Works);
    while host.listed(id(7)).is_none() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(host.list().len(), 2);
}
