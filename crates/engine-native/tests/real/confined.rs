//! What a program inside can and cannot do.

use sentinal_engine::{EndReason, Engine as _};
use sentinal_model::{Disk, Memory};

use crate::fixture::Fixture;

const EPERM: &str = "1";
const EACCES: &str = "13";
const ENOSYS: &str = "38";

#[tokio::test]
async fn only_root_inside_reaches_the_socket_though_its_owner_has_the_number_of_the_user() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    assert_eq!(guest.ask("connect-as 0").await, "ok");
    assert_eq!(guest.ask("connect-as 1000").await, "PermissionDenied");
    assert_eq!(guest.ask("write /.sentinal/host/new").await, "ReadOnlyFilesystem");
    let agent = guest.ask("write /.sentinal/agent").await;
    assert!(["ReadOnlyFilesystem", "PermissionDenied"].contains(&agent.as_str()), "{agent}");
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn a_full_disk_is_an_error_inside_and_the_sandbox_goes_on() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    let most = Disk::MIN.bytes() >> 20;
    let room: u64 = guest.ask("room /").await.parse().unwrap();
    assert!(most - 2 <= room && room <= most, "{room}");
    for path in ["/var/tmp/big", "/tmp/big", "/bin/big"].repeat(5) {
        let full = guest.ask(&format!("fill {path}")).await;
        let (error, written) = full.split_once(' ').unwrap();
        let written: u64 = written.parse().unwrap();
        assert!(error == "StorageFull" && most - 2 <= written && written <= most, "{path}: {full}");
        assert_eq!(guest.ask("fill /run/more").await, "StorageFull 0");
        for path in [path, "/run/more"] {
            assert_eq!(guest.ask(&format!("remove {path}")).await, "ok");
        }
    }
    assert_eq!(guest.ask("touch-many /tmp/many").await, "StorageFull");
    assert_eq!(guest.ask("remove /tmp/many").await, "ok");
    assert_eq!(guest.ask("write /tmp/small").await, "ok");
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
    // Some may be on their way to being another user's.
    let about = (510..=514).map(|count| format!("WouldBlock {count}"));
    assert!(about.collect::<Vec<_>>().contains(&refused), "{refused}");
    assert_eq!(guest.ask("say alive").await, "alive");
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn out_of_memory_ends_the_process_and_not_the_sandbox() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    assert_eq!(test.engine.stats(test.id()).await.unwrap().oom_kills, 0);
    assert_eq!(guest.ask(&format!("eat {}", 200 << 20)).await, "signal: 9 (SIGKILL)");
    assert_eq!(guest.ask("say alive").await, "alive");
    assert_eq!(test.engine.stats(test.id()).await.unwrap().oom_kills, 1);
    assert_eq!(test.engine.halt(test.id()).await.unwrap().oom_kills, 1);
    test.nothing_is_left().await;
}

#[tokio::test]
async fn the_end_of_the_agent_for_want_of_memory_is_told() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    for _ in 0..2 {
        // What the program ate is gone; the agent goes on, and ends later by itself.
        assert_eq!(guest.ask(&format!("eat {}", 200 << 20)).await, "signal: 9 (SIGKILL)");
    }
    assert_eq!(guest.try_ask("exit").await, None);
    assert_eq!(test.engine.ended(test.id()).await.unwrap(), EndReason::Oom);
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn neither_root_nor_the_user_inside_may_ask_the_kernel_for_what_is_refused() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    let refused = [
        "mount",
        "umount",
        "unshare-user",
        "clone-user",
        "bpf",
        "keyctl",
        "perf",
        "userfaultfd",
        "io_uring",
        "ptrace",
        "kexec",
        "module",
        "reboot",
        "setns",
        "sethostname",
        "vsock",
        "tiocsti",
    ];
    for verb in ["call", "call-as-user"] {
        for call in refused {
            assert_eq!(guest.ask(&format!("{verb} {call}")).await, EPERM, "{verb} {call}");
        }
        for call in ["clone3", "new-call"] {
            assert_eq!(guest.ask(&format!("{verb} {call}")).await, ENOSYS, "{verb} {call}");
        }
    }
    assert_eq!(guest.ask("call-as-user setuid-0").await, EPERM);
    let device = guest.ask("call mknod-device").await;
    assert!([EPERM, EACCES].contains(&device.as_str()), "{device}");
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn root_inside_is_nobody_on_the_host_and_has_few_capabilities() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", test.pid())).unwrap();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:\t")).unwrap();
    let first: u32 = uid.split('\t').next().unwrap().parse().unwrap();
    assert!(524_288 <= first && first.is_multiple_of(65_536), "{uid}");
    assert_eq!(guest.ask("status Uid").await, "0\t0\t0\t0");
    assert_eq!(guest.ask("status NoNewPrivs").await, "1");
    assert_eq!(guest.ask("status Seccomp").await, "2");
    assert_eq!(guest.ask("status Groups").await, "");
    let kept = guest.ask("status CapBnd").await;
    assert_eq!(u64::from_str_radix(&kept, 16).unwrap().count_ones(), 10, "{kept}");
    for set in ["CapPrm", "CapEff"] {
        assert_eq!(guest.ask(&format!("status {set}")).await, kept, "{set}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(guest.ask(&format!("status {set}")).await, "0000000000000000", "{set}");
    }
    assert_eq!(guest.ask("owner /bin/guest").await, "0");
    assert_eq!(guest.ask("write /var/tmp/mine").await, "ok");
    assert_eq!(guest.ask("owner /var/tmp/mine").await, "0");
    assert_eq!(guest.ask("read /proc/self/oom_score_adj").await, "300");
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}

#[tokio::test]
async fn the_tree_shows_the_sandbox_and_nothing_of_the_host() {
    let Some(test) = Fixture::new() else { return };
    let mut guest = test.boot().await;
    let dev = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(guest.ask("list /dev").await, dev);
    assert_eq!(guest.ask("zero /dev/zero").await, "ok");
    assert_eq!(guest.ask("zero /dev/urandom").await, "ok");
    assert_eq!(guest.ask("write /dev/null").await, "ok");
    assert_eq!(guest.ask("write /dev/full").await, "StorageFull");
    for masked in ["/proc/kcore", "/proc/keys", "/proc/timer_list"] {
        let shown = guest.ask(&format!("read {masked}")).await;
        assert!(["", "NotFound"].contains(&shown.as_str()), "{masked}: {shown}");
    }
    for masked in ["/sys/firmware", "/sys/kernel", "/sys/module", "/sys/block"] {
        let shown = guest.ask(&format!("list {masked}")).await;
        assert!(["", "NotFound"].contains(&shown.as_str()), "{masked}: {shown}");
    }
    for path in ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/power/state"] {
        let refused = guest.ask(&format!("write {path}")).await;
        // Not each kernel has each of them.
        let fine = ["ReadOnlyFilesystem", "PermissionDenied", "NotFound"];
        assert!(fine.contains(&refused.as_str()), "{path}: {refused}");
    }
    let mounts = guest.ask("read /proc/self/mountinfo").await;
    // Of the socket's folder the kernel tells where it is.
    let folder = test.spec.folder.display().to_string();
    let mut of_the_host = mounts.split("; ").filter(|mount| mount.contains(&folder));
    assert!(of_the_host.all(|mount| mount.contains(" /.sentinal/host ")), "{mounts}");
    let processes = guest.ask("list /proc").await;
    let processes: Vec<_> = processes.split(' ').filter(|name| name.parse::<u32>().is_ok()).collect();
    assert_eq!(processes, ["1"]);
    // From one folder to another, also one of the image.
    assert_eq!(guest.ask("write /tmp/one").await, "ok");
    assert_eq!(guest.ask("rename /tmp/one /var/tmp/two").await, "ok");
    test.engine.halt(test.id()).await.unwrap();
    test.nothing_is_left().await;
}
