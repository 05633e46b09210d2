//! Who programs are, and what they can never be.

use sentinal_agent_protocol::v1::{ExecuteRequest, User};
use tonic::Code;

use crate::harness::{Sandbox, is_root, run, sh, start};

fn as_user(name: &str, id: &str, script: &str) -> ExecuteRequest {
    ExecuteRequest { user: Some(User { name: name.to_owned() }), ..sh(id, script) }
}

macro_rules! need_root {
    () => {
        if !is_root() {
            eprintln!("skipped: only root can become somebody else");
            return;
        }
    };
}

#[tokio::test]
async fn programs_run_as_the_ordinary_user_by_default() {
    need_root!();
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let finished = run(&client, sh("x", "id -u; id -g; id -G; cd; pwd")).await.unwrap();
    let lines: Vec<&str> = finished.stdout().lines().collect();
    assert_eq!(lines[0], "1000");
    assert!(!lines[2].split(' ').any(|group| group == "0"), "root's groups are dropped: {}", lines[2]);
}

#[tokio::test]
async fn an_ordinary_user_can_gain_nothing() {
    need_root!();
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let script = "grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs)' /proc/self/status";
    let finished = run(&client, sh("x", script)).await.unwrap();
    let none = "0000000000000000";
    let expected = format!(
        "CapInh:\t{none}\nCapPrm:\t{none}\nCapEff:\t{none}\nCapBnd:\t{none}\nCapAmb:\t{none}\nNoNewPrivs:\t1\n"
    );
    assert_eq!(finished.stdout(), expected);
}

#[tokio::test]
async fn root_keeps_what_the_sandbox_has() {
    need_root!();
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let finished = run(&client, as_user("root", "x", "id -u; grep CapBnd /proc/self/status")).await.unwrap();
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find(|line| line.starts_with("CapBnd")).unwrap();
    assert_eq!(finished.stdout(), format!("0\n{own}\n"));
}

#[tokio::test]
async fn a_uid_without_an_account_is_enough() {
    need_root!();
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let finished = run(&client, as_user("54321", "x", "id -u; id -g; id -G")).await.unwrap();
    assert_eq!(finished.stdout(), "54321\n54321\n54321\n");
}

#[tokio::test]
async fn nobody_unknown_gets_in() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    for name in ["nosuch", "-1", "4294967295", "18446744073709551615", "root\n", ":", " 0", "+0"] {
        let status = start(&client, as_user(name, "x", "id -u")).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{name}");
    }
}

#[tokio::test]
async fn limits_hold_for_the_program() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let request = ExecuteRequest { processes_max: 7, open_files_max: 33, ..sh("x", "cat /proc/$$/limits") };
    let finished = run(&client, request).await.unwrap();
    let limit = |name: &str| {
        let line = finished.stdout().lines().find(|line| line.starts_with(name)).unwrap();
        line.split_ascii_whitespace().skip(name.split(' ').count()).take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max processes"), ["7", "7"]);
    assert_eq!(limit("Max open files"), ["33", "33"]);
}

#[tokio::test]
async fn too_many_processes_is_a_result() {
    need_root!();
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let mut first = start(&client, as_user("64999", "1", "sleep 1000 & sleep 1000 & echo ready; wait")).await.unwrap();
    crate::harness::output(&mut first).await;
    let request = ExecuteRequest { processes_max: 1, ..as_user("64999", "2", "true") };
    let finished = run(&client, request).await.unwrap();
    assert_eq!(finished.exit_code(), 126, "{}", finished.stderr());
    assert_eq!(finished.stderr(), "sentinal: /bin/sh: the limit of processes is reached\n");
}

#[tokio::test]
async fn the_token_is_nowhere_in_the_agent_s_environment() {
    let sandbox = Sandbox::start();
    let _client = sandbox.accept().await;
    let environment = std::fs::read(format!("/proc/{}/environ", sandbox.agent.id())).unwrap_or_default();
    let text = String::from_utf8_lossy(&environment);
    assert!(!text.contains("a7a7") && !text.contains("SENTINAL"), "{text:?}");
}
