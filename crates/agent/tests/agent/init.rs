//! As the sandbox's first process: it takes over what others leave behind.

use std::process::Command;

use crate::harness::{Sandbox, run, sh, within};

#[tokio::test]
async fn orphans_are_reaped() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let orphan = "sh -c 'sleep 0.05 & echo $!'";
    let finished = run(&client, sh("x", &format!("{orphan}; {orphan}"))).await.unwrap();
    for pid in finished.stdout().lines() {
        crate::harness::until(|| !std::path::Path::new(&format!("/proc/{pid}")).exists()).await;
    }
}

#[tokio::test]
async fn as_pid_1_it_ends_everything_at_its_deadline() {
    let wrapper = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    let can = Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").status();
    if !can.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no PID namespace can be made here");
        return;
    }
    // Root in that namespace can become nobody else: only one id is mapped.
    let mut sandbox = Sandbox::start_with(&wrapper, &[(sentinal_agent_protocol::ENV_DEADLINE_MS, "3000")]);
    let client = sandbox.accept().await;
    let mut request = sh("x", "setsid sh -c 'trap \"\" TERM; sleep 1000' & grep PPid /proc/$$/status");
    request.user = Some(sentinal_agent_protocol::v1::User { name: "root".to_owned() });
    match run(&client, request).await {
        Ok(finished) => assert_eq!(finished.stdout(), "PPid:\t1\n"),
        Err(status) => assert!(status.message().contains("identity"), "{status}"),
    }
    within(tokio::task::spawn_blocking(move || {
        assert_eq!(sandbox.agent.wait().unwrap().code(), Some(0));
    }))
    .await
    .unwrap();
}
