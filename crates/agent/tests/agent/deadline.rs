//! The agent ends by itself.

use sentinal_agent_protocol::v1::{SetDeadlineRequest, SetIdleRequest};

use crate::harness::{Sandbox, output, run, sh, start, until, within};

fn is_alive(pid: &str) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn the_deadline_ends_the_agent_and_its_executions() {
    let mut sandbox = Sandbox::with_deadline_ms(1500);
    let client = sandbox.accept().await;
    let mut events = start(&client, sh("x", "trap '' TERM HUP; echo $$; sleep 1000; sleep 1000")).await.unwrap();
    let pid = String::from_utf8(output(&mut events).await.data).unwrap();
    within(tokio::task::spawn_blocking(move || {
        assert_eq!(sandbox.agent.wait().unwrap().code(), Some(0));
    }))
    .await
    .unwrap();
    until(|| !is_alive(pid.trim())).await;
}

#[tokio::test]
async fn a_deadline_passes_with_nobody_to_talk_to() {
    let mut sandbox = Sandbox::with_deadline_ms(50);
    within(tokio::task::spawn_blocking(move || {
        assert_eq!(sandbox.agent.wait().unwrap().code(), Some(0));
    }))
    .await
    .unwrap();
}

#[tokio::test]
async fn a_deadline_may_be_moved() {
    let mut sandbox = Sandbox::with_deadline_ms(1000);
    let client = sandbox.accept().await;
    let set = |remaining_ms| client.clone().set_deadline_owned(SetDeadlineRequest { remaining_ms });
    within(set(u64::MAX)).await;
    assert_eq!(run(&client, sh("x", "sleep 1.1; echo alive")).await.unwrap().stdout(), "alive\n");
    within(set(0)).await;
    within(tokio::task::spawn_blocking(move || {
        assert_eq!(sandbox.agent.wait().unwrap().code(), Some(0));
    }))
    .await
    .unwrap();
}

/// The answer to the last one may be lost with the agent.
trait SetDeadline {
    async fn set_deadline_owned(self, request: SetDeadlineRequest);
}

impl SetDeadline for crate::harness::Client {
    async fn set_deadline_owned(mut self, request: SetDeadlineRequest) {
        let _ = self.set_deadline(request).await;
    }
}

/// Starts an agent whose sandbox may be idle for so long.
fn idle_for_ms(idle_ms: u64) -> Sandbox {
    Sandbox::start_with(&[], &[(sentinal_agent_protocol::ENV_IDLE_MS, &idle_ms.to_string())])
}

async fn ends_well(mut sandbox: Sandbox) {
    within(tokio::task::spawn_blocking(move || assert_eq!(sandbox.agent.wait().unwrap().code(), Some(0))))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_sandbox_that_nobody_uses_ends_with_nobody_to_talk_to() {
    ends_well(idle_for_ms(100)).await;
}

#[tokio::test]
async fn a_sandbox_is_not_idle_while_an_execution_runs() {
    let sandbox = idle_for_ms(100);
    let client = sandbox.accept().await;
    let slept = run(&client, sh("x", "sleep 8; echo alive")).await.unwrap();
    assert_eq!(slept.stdout(), "alive\n");
    ends_well(sandbox).await;
}

#[tokio::test]
async fn output_that_nobody_fetches_keeps_no_sandbox_in_use() {
    let sandbox = idle_for_ms(100);
    let client = sandbox.accept().await;
    drop(start(&client, sh("x", "head -c 300000 /dev/zero & sleep 1; kill $!")).await.unwrap());
    ends_well(sandbox).await;
}

#[tokio::test]
async fn how_long_a_sandbox_may_be_idle_can_be_changed() {
    let sandbox = idle_for_ms(3_600_000);
    let mut client = sandbox.accept().await;
    within(client.set_idle(SetIdleRequest { idle_ms: 100 })).await.unwrap();
    ends_well(sandbox).await;
}
