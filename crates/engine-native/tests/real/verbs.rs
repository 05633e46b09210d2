//! The verbs, and what they leave.

use sentinal_engine::{EndReason, Engine as _, EngineError, InstanceState, InstanceUsage, ProbeFailure, host::OnHost};
use sentinal_engine_native::{Launcher, Native, NativeConfig};
use tokio::time::{Duration, sleep, timeout};

use crate::{
    ENDS, QUIET,
    fixture::{self, Fixture},
    kill, states,
};

#[tokio::test]
async fn an_instance_boots_dials_and_halts() {
    let Some(mut test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    assert_eq!(guest.ask("env TOKEN").await, "t0k3n");
    assert_eq!(guest.ask("write /bin/new").await, "ok");
    assert!(guest.ask("read /proc/sys/kernel/hostname").await.starts_with("sbx-"));
    assert_eq!(guest.ask("loopback").await, "ok");
    assert_ne!(guest.ask("internet").await, "ok");

    let usage = test.engine.stats(test.id()).await.unwrap();
    assert!(0 < usage.cpu_us && 0 < usage.memory_bytes && usage.processes == 1, "{usage:?}");
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
async fn nothing_of_it_is_mounted_on_the_host() {
    let Some(test) = Fixture::new() else { return };
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let _guest = test.boot().await;
    let id = test.id().to_string();
    let now = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let fresh: Vec<_> = now.lines().filter(|line| !before.contains(line) && line.contains(&id)).collect();
    assert_eq!(fresh, [] as [&str; 0]);
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
    for after_us in [0, 200, 500, 1000, 1500, 2000, 3000, 4000, 5000, 7000, 10_000, 15_000, 20_000, 30_000, 50_000] {
        let booted = timeout(Duration::from_micros(after_us), test.engine.boot(&test.spec)).await;
        if let Ok(booted) = booted {
            booted.unwrap();
        }
        test.engine.halt(test.id()).await.unwrap();
        assert_eq!(test.engine.list().await.unwrap(), [], "cancelled after {after_us} us");
        test.nothing_is_left().await;
    }
    let mut guest = test.boot().await;
    // Those that were cancelled have dialled, too.
    while guest.try_ask("say it still works").await.is_none() {
        guest = test.dialled().await;
    }
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn an_engine_that_is_killed_anywhere_in_a_boot_leaves_what_another_can_halt() {
    let Some(test) = Fixture::new() else { return };
    for after_us in [0, 500, 1000, 2000, 3000, 4000, 6000, 8000, 11_000, 15_000, 20_000, 30_000, 50_000, 100_000] {
        let mut process = test.boot_in_another_process();
        test.has_begun().await;
        sleep(Duration::from_micros(after_us)).await;
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
    test.spec.agent = "/nowhere/agent".into();
    let error = test.engine.boot(&test.spec).await.unwrap_err();
    assert!(matches!(&error, EngineError::Child { stderr, .. } if stderr.contains("/nowhere/agent")), "{error}");
    assert_eq!(states(test.engine.list().await.unwrap()), [(*test.id(), InstanceState::Partial)]);
    test.engine.halt(test.id()).await.unwrap();
    test.spec.agent = test.spec.image.clone();
    let error = test.engine.boot(&test.spec).await.unwrap_err();
    assert!(matches!(&error, EngineError::Child { stderr, .. } if stderr.starts_with("execute: ")), "{error}");
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn the_probe_boots_a_sandbox_and_leaves_nothing() {
    let Some(test) = Fixture::new() else { return };
    let report = test.engine.probe().await.unwrap();
    assert!(report.version.starts_with("Linux ") && report.version.contains("cgroup v"), "{report:?}");
    assert_eq!(test.engine.list().await.unwrap(), []);
    assert!(std::fs::read_dir(&test.config.folder).unwrap().flatten().all(|entry| entry.file_name() == "users"));
    assert_eq!(std::fs::read_dir(test.config.folder.join("users")).unwrap().count(), 0);
}

#[tokio::test]
async fn the_probe_says_why_it_fails() {
    let Some(test) = Fixture::new() else { return };
    let probe = |config| {
        let engine = OnHost::new(Native::new(config));
        async move { engine.probe().await.unwrap_err() }
    };
    let no_agent = NativeConfig { agent: "/nowhere/agent".into(), ..test.config.clone() };
    let no_agent = probe(no_agent).await;
    assert!(no_agent.to_string().contains("/nowhere/agent"), "{no_agent}");
    let shell = |script: &str| Launcher { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] };
    let launcher = shell("echo 'namespaces: cannot make a user and a pid namespace: No space left' >&2; exit 125");
    let refused = probe(NativeConfig { launcher, ..test.config.clone() }).await;
    assert!(
        matches!(&refused, ProbeFailure::Refused { hint, .. } if hint.contains("max_user_namespaces")),
        "{refused}"
    );
    let hanging = probe(NativeConfig { launcher: shell("sleep 1000"), ..test.config.clone() }).await;
    assert!(matches!(hanging, ProbeFailure::Hung { .. }), "{hanging}");
    assert_eq!(test.engine.list().await.unwrap(), []);
}
