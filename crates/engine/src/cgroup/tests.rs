use super::*;
use crate::{EndReason, mounts};

fn hybrid(root: &Path) -> String {
    let root = root.display();
    format!(
        "40 31 0:35 / {root}/memory rw - cgroup cgroup rw,memory\n\
         41 31 0:36 / {root}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
         42 31 0:37 / {root}/unified rw - cgroup2 cgroup2 rw\n"
    )
}

/// A tree of plain files in the place of a kernel's: `controllers` is what its v2 hierarchy has.
fn tree(controllers: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let unified = place.path().join("unified");
    for folder in [unified.clone(), unified.join("test")] {
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("cgroup.controllers"), controllers).unwrap();
        fs::write(folder.join("cgroup.subtree_control"), "").unwrap();
    }
    place
}

fn v2(place: &Path) -> Cgroups {
    let line = format!("42 31 0:37 / {}/unified rw - cgroup2 cgroup2 rw\n", place.display());
    Cgroups { hierarchies: Hierarchies::among(&mounts::parse(&line)).unwrap(), parent: "test".to_owned() }
}

fn limits() -> Limits {
    Limits { memory: Memory::MIN, tasks: 4096, out_of_memory: OutOfMemory::EndsAll }
}

#[test]
fn each_controller_is_found_where_it_is() {
    let place = tree("pids io\n");
    let found = Hierarchies::among(&mounts::parse(&hybrid(place.path()))).unwrap();
    let seen = [&found.memory, &found.cpu, &found.accounting, &found.pids]
        .map(|hierarchy| (hierarchy.version, hierarchy.root.strip_prefix(place.path()).unwrap().to_owned()));
    let expected =
        [(Version::V1, "memory"), (Version::V1, "cpu,cpuacct"), (Version::V1, "cpu,cpuacct"), (Version::V2, "unified")];
    assert_eq!(seen, expected.map(|(version, root)| (version, root.into())));
    assert_eq!(found.distinct().len(), 3);
    assert_eq!(found.freezer.map(|freezer| freezer.version), Some(Version::V2));
    let with_freezer = format!("{}43 31 0:38 / /freezer rw - cgroup cgroup rw,freezer\n", hybrid(place.path()));
    let found = Hierarchies::among(&mounts::parse(&with_freezer)).unwrap();
    assert_eq!(found.freezer.map(|freezer| freezer.version), Some(Version::V1));
}

#[test]
fn a_missing_controller_has_a_name() {
    let place = tree("io\n");
    let error = Hierarchies::among(&mounts::parse(&hybrid(place.path()))).unwrap_err();
    assert_eq!(error.to_string(), "no mounted cgroup hierarchy has the pids controller");
}

#[test]
fn limits_are_written_in_the_words_of_v2() {
    let place = tree("cpu memory pids\n");
    let id = SandboxId::generate();
    let cgroup = v2(place.path()).of(&id);
    let folder = place.path().join("unified/test").join(id.to_string());
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("memory.oom.group"), "0").unwrap();
    cgroup.create(limits()).unwrap();
    cgroup.limit_cpu(Cpu::try_from_cores(0.5).unwrap()).unwrap();
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("memory.max"), "67108864");
    assert_eq!(read("memory.oom.group"), "1");
    assert_eq!(read("pids.max"), "4096");
    assert_eq!(read("cpu.max"), "50000 100000");
    assert_eq!(v2(place.path()).list().unwrap(), BTreeSet::from([id]));
    assert_eq!(cgroup.entrances(), [folder.join("cgroup.procs")]);
}

#[test]
fn usage_and_the_reason_of_the_end_are_read_in_the_words_of_v2() {
    let place = tree("cpu memory pids\n");
    let id = SandboxId::generate();
    let cgroup = v2(place.path()).of(&id);
    let folder = place.path().join("unified/test").join(id.to_string());
    fs::create_dir(&folder).unwrap();
    assert_eq!(cgroup.usage(), crate::InstanceUsage::default());
    assert_eq!(cgroup.end_reason(), EndReason::Exited);
    for (name, text) in [
        ("cpu.stat", "usage_usec 77\nuser_usec 1\n"),
        ("memory.current", "4096\n"),
        ("memory.peak", "8192\n"),
        ("memory.events", "low 0\noom 1\noom_kill 1\n"),
        ("pids.current", "3\n"),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let usage = cgroup.usage();
    assert_eq!((usage.cpu_us, usage.memory_bytes, usage.memory_peak_bytes, usage.processes), (77, 4096, 8192, 3));
    assert_eq!(cgroup.end_reason(), EndReason::Oom);
}

#[tokio::test]
async fn freezing_is_written_in_the_words_of_v2_and_refused_where_the_kernel_has_none() {
    let place = tree("cpu memory pids\n");
    let id = SandboxId::generate();
    let cgroup = v2(place.path()).of(&id);
    let folder = place.path().join("unified/test").join(id.to_string());
    fs::create_dir(&folder).unwrap();
    assert!(matches!(cgroup.freeze().await, Err(EngineError::NotSupported { .. })));
    assert!(matches!(cgroup.thaw(), Err(EngineError::NotSupported { .. })));
    assert!(!cgroup.is_frozen());
    fs::write(folder.join("cgroup.freeze"), "0").unwrap();
    fs::write(folder.join("cgroup.events"), "populated 1\nfrozen 1\n").unwrap();
    cgroup.freeze().await.unwrap();
    assert!(cgroup.is_frozen());
    cgroup.thaw().unwrap();
    assert!(!cgroup.is_frozen());
}

#[tokio::test]
async fn a_real_cgroup_is_made_killed_and_removed() {
    let cgroups = match Cgroups::detect(&format!("sentinal-test-{}", std::process::id())) {
        Ok(cgroups) if rustix::process::geteuid().is_root() => cgroups,
        Ok(_) => return println!("skipped: not root"),
        Err(error) => return println!("skipped: {error}"),
    };
    let cgroup = cgroups.of(&SandboxId::generate());
    cgroup.create(limits()).unwrap();
    cgroup.create(limits()).unwrap();
    cgroup.limit_cpu(Cpu::try_from_cores(1.0).unwrap()).unwrap();
    let script = "for file; do echo 0 > \"$file\"; done; sleep 1000 & sleep 1000";
    let mut child = tokio::process::Command::new("/bin/sh");
    let mut child = child.args(["-c", script, "sh"]).args(cgroup.entrances()).spawn().unwrap();
    while cgroup.processes().len() < 3 {
        sleep(POLL).await;
    }
    assert!(0 < cgroup.usage().memory_bytes);
    assert_eq!(cgroup.usage().oom_kills, 0);
    let first = *cgroup.processes().first().unwrap();
    if cgroups.hierarchies.freezer.is_some() {
        for _ in 0..2 {
            cgroup.freeze().await.unwrap();
            assert!(cgroup.is_frozen());
        }
        for _ in 0..2 {
            cgroup.thaw().unwrap();
            assert!(!cgroup.is_frozen());
        }
        // Killed as it is below, it must not stay frozen.
        cgroup.freeze().await.unwrap();
    }
    assert!(cgroup.holds(first) && !cgroup.holds(1));
    cgroup.ended(1).await.unwrap();
    let (ended, killed) = tokio::join!(cgroup.ended(first), cgroup.kill(Duration::from_secs(10)));
    ended.and(killed).unwrap();
    child.wait().await.unwrap();
    cgroup.remove().await.unwrap();
    cgroup.remove().await.unwrap();
    assert!(!cgroup.exists());
    assert!(cgroups.hierarchies.roots().iter().all(|root| !root.join(&cgroups.parent).exists()));
}

#[test]
fn the_last_one_takes_the_parent_with_it_and_a_new_one_makes_it_again() {
    let Ok(cgroups) = Cgroups::detect(&format!("sentinal-test-again-{}", std::process::id())) else { return };
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: not root");
    }
    let repeat = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for _ in 0..100 {
            let cgroup = cgroups.of(&SandboxId::generate());
            cgroup.create(limits()).unwrap();
            runtime.block_on(cgroup.remove()).unwrap();
        }
    };
    std::thread::scope(|scope| [(); 4].map(|()| scope.spawn(repeat)).map(|thread| thread.join().unwrap()));
    assert!(cgroups.hierarchies.roots().iter().all(|root| !root.join(&cgroups.parent).exists()));
}

#[test]
fn each_folder_has_a_parent_of_its_own_and_always_the_same() {
    assert_eq!(parent_for("gvisor", Path::new("/var/lib/sentinal")), "sentinal-gvisor-2d51fbea0fbcb398");
    assert_ne!(parent_for("gvisor", Path::new("/a")), parent_for("gvisor", Path::new("/b")));
    assert_ne!(parent_for("gvisor", Path::new("/a")), parent_for("native", Path::new("/a")));
}
