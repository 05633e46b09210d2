//! A keeper takes over the signals and children of its process, so each test has it in a process of its own:
//! this same program, told by its environment to be one.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::*;

const SCRIPT: &str = "SENTINAL_TEST_WORKER";

/// Not a test by itself: what [`keeper`] runs.
#[test]
fn keeps_a_worker_when_told_to() {
    let Some(script) = std::env::var_os(SCRIPT) else { return };
    let mut worker = Command::new("/bin/sh");
    worker.arg("-c").arg(script).env_remove(SCRIPT);
    let status = keep(worker).unwrap();
    println!("\nkept: {:?} {:?}", status.code(), status.signal());
}

/// A keeper of `script`.
fn keeper(script: &str) -> Child {
    let mut keeper = Command::new(std::env::current_exe().unwrap());
    keeper.args(["--exact", "keeper::tests::keeps_a_worker_when_told_to", "--nocapture"]).env(SCRIPT, script);
    keeper.stdout(Stdio::piped()).spawn().unwrap()
}

fn check(keeper: Child, code: Option<i32>, signal: Option<i32>) {
    let output = keeper.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = format!("kept: {code:?} {signal:?}\n");
    assert!(said.contains(&expected), "{expected:?} is not in {said:?}");
}

fn wait_for(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < Duration::from_secs(20), "{} never came", path.display());
        std::thread::yield_now();
    }
}

#[test]
fn a_worker_that_ends_by_itself_ends_the_keeper_with_its_status() {
    check(keeper("exit 0"), Some(0), None);
    check(keeper("exit 7"), Some(7), None);
}

#[test]
fn a_worker_that_was_killed_is_started_again() {
    let place = tempfile::tempdir().unwrap();
    let mark = place.path().join("ran");
    let script = format!("[ -e {0} ] && exit 3; : > {0}; kill -9 $$", mark.display());
    check(keeper(&script), Some(3), None);
}

#[test]
fn a_signal_to_end_is_forwarded_and_the_workers_answer_is_the_keepers() {
    for signal in [Signal::TERM, Signal::INT] {
        let place = tempfile::tempdir().unwrap();
        let ready = place.path().join("ready");
        let script =
            format!("trap 'exit 5' TERM; trap 'exit 5' INT; : > {}; while :; do sleep 0.02; done", ready.display());
        let keeper = keeper(&script);
        wait_for(&ready);
        kill_process(Pid::from_child(&keeper), signal).unwrap();
        check(keeper, Some(5), None);
    }
}

#[test]
fn a_worker_that_dies_of_the_signal_to_end_is_not_started_again() {
    let place = tempfile::tempdir().unwrap();
    let ready = place.path().join("ready");
    let keeper = keeper(&format!(": > {}; exec sleep 60", ready.display()));
    wait_for(&ready);
    kill_process(Pid::from_child(&keeper), Signal::TERM).unwrap();
    check(keeper, None, Some(15));
}

#[test]
fn children_that_lost_their_parents_are_collected() {
    // An orphan of the worker becomes the keeper's child; once it has ended nothing is left of it.
    let place = tempfile::tempdir().unwrap();
    let orphan = place.path().join("orphan");
    let script = format!(
        "sh -c 'sleep 0.3 & echo $! > {0}'; orphan=$(cat {0}); \
         grep -q \"^PPid:[[:space:]]*$PPID$\" /proc/$orphan/status || exit 1; \
         for n in $(seq 100); do sleep 0.05; [ -e /proc/$orphan ] || exit 0; done; exit 2",
        orphan.display()
    );
    check(keeper(&script), Some(0), None);
}
