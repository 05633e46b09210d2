//! Much at once, and too much.

use futures::future::join_all;
use sentinal_agent_protocol::v1::{ForgetRequest, SignalRequest};
use tonic::Code;

use crate::harness::{Sandbox, run, sh, start, within};

#[tokio::test]
async fn sixty_four_run_at_once() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let runs = (0..64).map(|number| {
        let client = client.clone();
        async move { run(&client, sh(&number.to_string(), &format!("cat /dev/null; echo {number}"))).await.unwrap() }
    });
    for (number, finished) in join_all(runs).await.into_iter().enumerate() {
        assert_eq!(finished.stdout(), format!("{number}\n"));
    }
}

#[tokio::test]
async fn a_thousand_in_a_row_leave_nothing_behind() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", sandbox.agent.id())).map(Iterator::count);
    run(&client, sh("first", "exit 0")).await.unwrap();
    let before = descriptors().ok();
    for number in 0..1000 {
        let id = number.to_string();
        assert_eq!(run(&client, sh(&id, "exit 3")).await.unwrap().exit_code(), 3);
        within(client.clone().forget(ForgetRequest { execution_id: id })).await.unwrap();
    }
    // The ends of its last pipes may still be on their way.
    crate::harness::until(|| descriptors().ok() <= before).await;
}

#[tokio::test]
async fn more_than_may_run_are_refused() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let mut running = Vec::new();
    for number in 0..256 {
        running.push(start(&client, sh(&number.to_string(), "exec sleep 1000")).await.unwrap());
    }
    let status = start(&client, sh("more", "true")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let kill = SignalRequest { execution_id: "0".to_owned(), signal: libc::SIGKILL };
    within(client.clone().signal(kill)).await.unwrap();
    crate::harness::ended(&mut running[0]).await;
    assert_eq!(run(&client, sh("more", "true")).await.unwrap().exit_code(), 0);
    for number in 1..256 {
        let kill = SignalRequest { execution_id: number.to_string(), signal: libc::SIGKILL };
        within(client.clone().signal(kill)).await.unwrap();
    }
}

#[tokio::test]
async fn more_than_are_held_are_refused_until_one_is_forgotten() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    for number in 0..1024 {
        let mut request = sh(&number.to_string(), "");
        request.argv = vec!["nosuch".to_owned()];
        start(&client, request).await.unwrap();
    }
    assert_eq!(start(&client, sh("more", "true")).await.unwrap_err().code(), Code::ResourceExhausted);
    within(client.clone().forget(ForgetRequest { execution_id: "5".to_owned() })).await.unwrap();
    assert_eq!(run(&client, sh("more", "true")).await.unwrap().exit_code(), 0);
}
