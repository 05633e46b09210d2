//! Connections come and go; executions do not.

use std::time::Duration;

use sentinal_agent_protocol::{
    preamble::Welcome,
    v1::{AttachRequest, ListRequest},
};
use tokio::io::AsyncWriteExt;

use crate::harness::{Channel, Sandbox, client, ended, output, run, sh, start, within};

async fn cut(sandbox: &Sandbox) -> (crate::harness::Client, Channel) {
    let (mut stream, _) = sandbox.accept_raw().await;
    stream.write_all(&Welcome::Accepted { version: 1 }.encode()).await.unwrap();
    let channel = Channel::open(stream).await;
    (client(channel.clone()), channel)
}

#[tokio::test]
async fn an_execution_is_followed_on_from_where_the_connection_broke() {
    let sandbox = Sandbox::start();
    let (client, channel) = cut(&sandbox).await;
    let go = sandbox.path("go");
    let script = format!("printf before; while [ ! -e {go} ]; do sleep 0.01; done; printf after");
    let mut events = start(&client, sh("x", &script)).await.unwrap();
    assert_eq!(output(&mut events).await.data, b"before");
    channel.cut();

    let client = sandbox.accept().await;
    std::fs::write(&go, "").unwrap();
    let request = AttachRequest { execution_id: "x".to_owned(), stdout_offset: 6, stderr_offset: 0 };
    let mut events = within(client.clone().attach(request)).await.unwrap().into_inner();
    let rest = output(&mut events).await;
    assert_eq!((rest.offset, &*rest.data), (6, b"after".as_slice()));
    assert_eq!(ended(&mut events).await.stdout_bytes, 11);
}

#[tokio::test]
async fn an_execution_ends_without_anybody_watching() {
    let sandbox = Sandbox::start();
    let (client, channel) = cut(&sandbox).await;
    let mark = sandbox.path("mark");
    let mut events = start(&client, sh("x", &format!("echo ready; sleep 0.1; echo > {mark}"))).await.unwrap();
    output(&mut events).await;
    channel.cut();
    crate::harness::until(|| std::path::Path::new(&mark).exists()).await;

    let client = sandbox.accept().await;
    crate::harness::within(async {
        loop {
            let list = client.clone().list(ListRequest {}).await.unwrap().into_inner();
            if list.executions[0].ended {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_agent_comes_back_when_the_server_does() {
    let mut sandbox = Sandbox::start();
    for round in 0..3 {
        let (client, channel) = cut(&sandbox).await;
        let finished = run(&client, sh(&format!("x{round}"), "echo hello")).await.unwrap();
        assert_eq!(finished.stdout(), "hello\n");
        channel.cut();
        sandbox.recreate_listener().await;
    }
}

#[tokio::test]
async fn a_refused_agent_dials_again() {
    let sandbox = Sandbox::start();
    for _ in 0..3 {
        let (mut stream, _) = sandbox.accept_raw().await;
        stream.write_all(&Welcome::Refused.encode()).await.unwrap();
    }
    let client = sandbox.accept().await;
    assert_eq!(run(&client, sh("x", "true")).await.unwrap().exit_code(), 0);
}

#[tokio::test]
async fn one_connection_at_a_time() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    assert_eq!(run(&client, sh("x", "true")).await.unwrap().exit_code(), 0);
    let second = tokio::time::timeout(Duration::from_millis(100), sandbox.accept_raw()).await;
    assert!(second.is_err(), "the agent dialled though it is connected");
}

#[tokio::test]
async fn those_who_followed_over_a_broken_connection_are_gone() {
    let sandbox = Sandbox::start();
    let (client, channel) = cut(&sandbox).await;
    let mut events = start(&client, sh("x", "echo ready; sleep 1000")).await.unwrap();
    output(&mut events).await;
    channel.cut();
    // More often than there may be followers.
    for _ in 0..12 {
        let (client, channel) = cut(&sandbox).await;
        let request = AttachRequest { execution_id: "x".to_owned(), ..AttachRequest::default() };
        let mut events = within(client.clone().attach(request)).await.unwrap().into_inner();
        assert_eq!(output(&mut events).await.data, b"ready\n");
        channel.cut();
    }
}
