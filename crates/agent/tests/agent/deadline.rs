//! The agent ends by itself.

use sentinal_agent_protocol::v1::SetDeadlineRequest;

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
