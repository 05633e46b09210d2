//! Real sandboxes on this machine's `runsc`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the exemption of tests does not reach helpers of tests in a folder"
)]

mod fixture;

use std::{collections::BTreeSet, time::Duration};

use fixture::Fixture;
use sentinal_engine::{EndReason, Engine as _, EngineError, InstanceState, InstanceUsage, ProbeFailure, host::OnHost};
use sentinal_engine_gvisor::{Gvisor, GvisorConfig};
use sentinal_model::{Disk, Memory, SandboxId};
use tokio::time::{sleep, timeout};

const ENDS: Duration = Duration::from_secs(20);
/// Far longer than an answer takes.
const QUIET: Duration = Duration::from_millis(200);

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn states(instances: Vec<sentinal_engine::Instance>) -> Vec<(SandboxId, InstanceState)> {
    instances.into_iter().map(|instance| (instance.id, instance.state)).collect()
}

#[tokio::test]
async fn an_instance_boots_dials_and_halts() {
    let Some(mut test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    assert_eq!(guest.ask("env TOKEN").await, "t0k3n");
    assert_eq!(guest.ask("write /bin/new").await, "ok");
    assert_eq!(guest.ask("write /.sentinal/host/new").await, "ReadOnlyFilesystem");
    assert!(guest.ask("read /proc/sys/kernel/hostname").await.starts_with("sbx-"));
    assert_eq!(guest.ask("loopback").await, "ok");
    assert_ne!(guest.ask("internet").await, "ok");

    let usage = test.engine.stats(test.id()).await.unwrap();
    assert!(0 < usage.cpu_us && 1 << 20 < usage.memory_bytes && 5 < usage.processes, "{usage:?}");
    assert!(usage.memory_bytes <= usage.memory_peak_bytes && 0 < usage.disk_bytes, "{usage:?}");
    assert_eq!(states(test.engine.list().await.unwrap()), [(*test.id(), InstanceState::Running)]);

    test.listen_again();
    drop(guest);
    assert_eq!(test.dialled().await.ask("say again").await, "again");

    let last = test.engine.halt(test.id()).await.unwrap();
    assert!(usage.cpu_us <= last.cpu_us && 0 < last.disk_bytes, "{last:?}");
    test.nothing_is_left().await;
    assert_eq!(test.engine.list().await.unwrap(), []);
}

#[tokio::test]
async fn only_root_inside_reaches_the_socket_though_its_owner_has_the_number_of_the_user() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    assert_eq!(guest.ask("connect-as 0").await, "ok");
    assert_eq!(guest.ask("connect-as 1000").await, "PermissionDenied");
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn a_second_boot_and_a_second_halt_do_nothing() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    let pid = test.pid();
    test.engine.boot(&test.spec).await.unwrap();
    test.another_engine().boot(&test.spec).await.unwrap();
    assert_eq!(test.pid(), pid);
    assert_eq!(guest.ask("say still").await, "still");
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
    assert_eq!(test.engine.halt(test.id()).await.unwrap(), InstanceUsage::default());
    assert!(matches!(test.engine.stats(test.id()).await, Err(EngineError::NotFound(_))));
    assert!(matches!(test.engine.ended(test.id()).await, Err(EngineError::NotFound(_))));
}

#[tokio::test]
async fn a_paused_instance_does_nothing_until_it_is_resumed_by_whomever() {
    let Some(test) = Fixture::new() else { return };
    assert!(matches!(test.engine.pause(test.id()).await, Err(EngineError::NotFound(_))));
    let mut guest = test.boot().await;
    test.engine.pause(test.id()).await.unwrap();
    test.engine.pause(test.id()).await.unwrap();
    assert_eq!(states(test.another_engine().list().await.unwrap()), [(*test.id(), InstanceState::Paused)]);
    assert!(timeout(QUIET, guest.ask("say anything")).await.is_err());
    test.another_engine().resume(test.id()).await.unwrap();
    test.engine.resume(test.id()).await.unwrap();
    assert_eq!(states(test.engine.list().await.unwrap()), [(*test.id(), InstanceState::Running)]);
    assert_eq!(guest.answer().await, "anything");
    test.engine.pause(test.id()).await.unwrap();
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
    assert!(matches!(test.engine.resume(test.id()).await, Err(EngineError::NotFound(_))));
}

#[tokio::test]
async fn an_instance_that_rests_has_late_timers_and_answers_all_the_same() {
    let Some(test) = Fixture::new() else { return };
    assert!(matches!(test.engine.rest(test.id()).await, Err(EngineError::NotFound(_))));
    let mut guest = test.boot().await;
    let punctual = slacks(test.pid());
    test.engine.rest(test.id()).await.unwrap();
    test.another_engine().rest(test.id()).await.unwrap();
    assert_eq!(slacks(test.pid()), [Duration::from_millis(100)].into());
    assert_eq!(guest.ask("say awake").await, "awake");
    test.another_engine().rouse(test.id()).await.unwrap();
    assert_eq!(slacks(test.pid()), punctual);
    test.engine.rest(test.id()).await.unwrap();
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

/// How late the timers of a process's threads may be.
fn slacks(pid: i32) -> BTreeSet<Duration> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    // A thread may end meanwhile.
    let slacks = threads
        .flat_map(|thread| std::fs::read_to_string(format!("/proc/{}/timerslack_ns", thread.file_name().display())));
    slacks.map(|slack| Duration::from_nanos(slack.trim().parse().unwrap())).collect()
}

#[tokio::test]
async fn a_full_disk_is_an_error_inside_and_the_sandbox_goes_on() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    let most = Disk::MIN.bytes() >> 20;
    // Again and again at once: what was deleted is not free on the host yet.
    for path in ["/var/tmp/big", "/tmp/big", "/bin/big"].repeat(20) {
        let full = guest.ask(&format!("fill {path}")).await;
        assert!([most - 1, most].map(|mib| format!("StorageFull {mib}")).contains(&full), "{path}: {full}");
        assert_eq!(guest.ask("fill /run/more").await, "StorageFull 0");
        assert_eq!(guest.ask("zero-into-hole /run/hole").await, "Uncategorized");
        for path in [path, "/run/more", "/run/hole"] {
            assert_eq!(guest.ask(&format!("remove {path}")).await, "ok");
        }
    }
    // Memory that looks like a disk is bounded, too.
    assert_eq!(guest.ask("fill /dev/shm/big").await, "StorageFull 16");
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn too_many_processes_are_refused_inside_and_the_sandbox_goes_on() {
    let Some(mut test) = Fixture::new() else { return };
    test.spec.memory = Memory::try_from_bytes(1 << 30).unwrap();
    let mut guest = test.boot().await;
    let refused = guest.ask("forks 1000").await;
    // One of them may be on its way.
    assert!(["WouldBlock 511", "WouldBlock 512"].contains(&refused.as_str()), "{refused}");
    assert_eq!(guest.ask("say alive").await, "alive");
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn out_of_memory_is_the_reason_of_the_end() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    let (adopter, id) = (test.another_engine(), *test.id());
    let ended = tokio::spawn(async move { adopter.ended(&id).await.unwrap() });
    assert_eq!(guest.try_ask(&format!("eat {}", 200 << 20)).await, None);
    assert_eq!(timeout(ENDS, ended).await.unwrap().unwrap(), EndReason::Oom);
    assert_eq!(states(test.engine.list().await.unwrap()), [(id, InstanceState::Ended(EndReason::Oom))]);
    assert_eq!(test.engine.ended(&id).await.unwrap(), EndReason::Oom);
    test.engine.halt(&id).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn the_end_of_the_agent_is_the_end_of_the_instance() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    let (engine, id) = (test.engine.clone(), *test.id());
    let ended = tokio::spawn(async move { engine.ended(&id).await.unwrap() });
    assert_eq!(guest.try_ask("exit").await, None);
    assert_eq!(timeout(ENDS, ended).await.unwrap().unwrap(), EndReason::Exited);
    test.engine.halt(&id).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn a_killed_sandbox_is_found_by_another_engine_and_halted() {
    let Some(test) = Fixture::new() else { return };
    let _guest = test.boot().await;
    let (adopter, id) = (test.another_engine(), *test.id());
    assert_eq!(states(adopter.list().await.unwrap()), [(id, InstanceState::Running)]);
    let watching = adopter.clone();
    let ended = tokio::spawn(async move { watching.ended(&id).await.unwrap() });
    kill(test.pid());
    assert_eq!(timeout(ENDS, ended).await.unwrap().unwrap(), EndReason::Exited);
    assert_eq!(states(adopter.list().await.unwrap()), [(id, InstanceState::Ended(EndReason::Exited))]);
    adopter.halt(&id).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn a_boot_that_is_cancelled_anywhere_leaves_nothing_after_a_halt() {
    let Some(test) = Fixture::new() else { return };
    for after_ms in [0, 2, 5, 8, 12, 16, 20, 30, 40, 50, 60, 70, 80, 100, 130, 160] {
        let booted = timeout(Duration::from_millis(after_ms), test.engine.boot(&test.spec)).await;
        if let Ok(booted) = booted {
            booted.unwrap();
        }
        test.engine.halt(test.id()).await.unwrap();
        assert_eq!(test.engine.list().await.unwrap(), [], "cancelled after {after_ms} ms");
        test.nothing_is_left().await;
    }
    let mut guest = test.boot().await;
    // Those that were cancelled may have dialled, too.
    while guest.try_ask("say it still works").await.is_none() {
        guest = test.dialled().await;
    }
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn an_engine_that_is_killed_anywhere_in_a_boot_leaves_what_another_can_halt() {
    let Some(test) = Fixture::new() else { return };
    for after_ms in [1, 4, 7, 10, 13, 16, 20, 25, 30, 40, 50, 60, 75, 90, 120, 200] {
        let mut process = test.boot_in_another_process();
        test.has_begun().await;
        sleep(Duration::from_millis(after_ms)).await;
        process.kill().unwrap();
        process.wait().unwrap();
        let engine = test.another_engine();
        let found = engine.list().await.unwrap();
        assert!(found.iter().all(|instance| instance.id == *test.id()), "{found:?}");
        engine.halt(test.id()).await.unwrap();
        test.nothing_is_left().await;
    }
}

/// The other process of the test above.
#[tokio::test]
async fn boots_what_the_environment_says() {
    if let Some((engine, spec)) = fixture::boot_of_the_environment() {
        engine.boot(&spec).await.unwrap();
        sleep(ENDS).await;
    }
}

#[tokio::test]
async fn a_partial_instance_is_listed_and_a_boot_begins_anew() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    // As if the engine had been killed just before it was done.
    std::fs::remove_file(test.config.folder.join(test.id().to_string()).join("booted")).unwrap();
    assert_eq!(states(test.engine.list().await.unwrap()), [(*test.id(), InstanceState::Partial)]);
    test.another_engine().boot(&test.spec).await.unwrap();
    assert_eq!(guest.try_ask("say gone").await, None);
    assert_eq!(test.dialled().await.ask("say new").await, "new");
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn a_halt_does_not_disturb_another_instance() {
    let (Some(first), Some(second)) = (Fixture::new(), Fixture::new()) else { return };
    let _gone = first.boot().await;
    let mut stays = second.boot().await;
    first.engine.halt(first.id()).await.unwrap();
    first.nothing_is_left().await;
    assert_eq!(stays.ask("write /var/tmp/file").await, "ok");
    second.engine.halt(second.id()).await.unwrap();
    second.nothing_is_left().await;
}

#[tokio::test]
async fn a_failed_boot_says_why() {
    let Some(mut test) = Fixture::new() else { return };
    test.spec.image = "/nowhere/image.erofs".into();
    let error = test.engine.boot(&test.spec).await.unwrap_err();
    assert!(matches!(&error, EngineError::Child { stderr, .. } if stderr.contains("/nowhere/image.erofs")), "{error}");
    assert_eq!(states(test.engine.list().await.unwrap()), [(*test.id(), InstanceState::Partial)]);
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn the_probe_runs_a_sandbox_and_leaves_nothing() {
    let Some(test) = Fixture::new() else { return };
    let report = test.engine.probe().await.unwrap();
    assert!(report.version.starts_with("runsc ") && report.version.ends_with(" (systrap)"), "{report:?}");
    assert_eq!(test.engine.list().await.unwrap(), []);
    assert_eq!(std::fs::read_dir(&test.config.folder).unwrap().count(), 0);
}

#[tokio::test]
async fn the_probe_says_why_it_fails() {
    let Some(test) = Fixture::new() else { return };
    let script = |name: &str, text: &str| {
        let path = test.spec.folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        path
    };
    let probe = |runsc| {
        let engine = OnHost::new(Gvisor::new(GvisorConfig { runsc, ..test.config.clone() }));
        async move { engine.probe().await.unwrap_err() }
    };
    assert!(matches!(probe("/nowhere/runsc".into()).await, ProbeFailure::Missing { .. }));
    let old = probe(script("old", "echo runsc version release-20230101.0")).await;
    assert!(matches!(old, ProbeFailure::TooOld { .. }), "{old}");
    let strange = probe(script("strange", "echo hello")).await;
    assert!(matches!(strange, ProbeFailure::Failed { .. }), "{strange}");
    let broken = "case $1 in --version) echo runsc version release-20300101.0;; *) echo no luck >&2; exit 9;; esac";
    let broken = probe(script("broken", broken)).await;
    assert!(matches!(&broken, ProbeFailure::Failed { detail, .. } if detail.contains("no luck")), "{broken}");
    let hanging = "case $1 in --version) echo runsc version release-20300101.0;; *) sleep 1000;; esac";
    let hanging = probe(script("hanging", hanging)).await;
    assert!(matches!(hanging, ProbeFailure::Hung { .. }), "{hanging}");
    assert_eq!(test.engine.list().await.unwrap(), []);
}
