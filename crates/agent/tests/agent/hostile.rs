//! Whatever comes over the socket, the agent lives and dials again.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use sentinal_agent_protocol::preamble::Welcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Sandbox, run, sh, within};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Sends the bytes, and reads until the agent ends the connection or we do.
async fn attack(sandbox: &Sandbox, bytes: &[u8]) {
    let (mut stream, _) = sandbox.accept_raw().await;
    // The agent may hang up in the middle.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
}

fn samples<T>(strategy: &impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::new(Config::default());
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// A well-formed frame with any content.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..64);
    (any::<u8>(), any::<u8>(), 0_u32..8, payload).prop_map(|(kind, flags, stream, payload)| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind % 11, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    })
}

fn welcomed(bytes: impl IntoIterator<Item = u8>) -> Vec<u8> {
    Welcome::Accepted { version: 1 }.encode().into_iter().chain(bytes).collect()
}

#[tokio::test]
async fn any_bytes_are_survived() {
    let sandbox = Sandbox::start();
    let noise = prop::collection::vec(any::<u8>(), 0..256);
    let frames = prop::collection::vec(frame(), 0..12);
    for bytes in samples(&noise, 20) {
        attack(&sandbox, &bytes).await;
        attack(&sandbox, &welcomed(bytes)).await;
    }
    for frames in samples(&frames, 60) {
        // Empty settings first, or the connection is over before it gets interesting.
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        attack(&sandbox, &welcomed(PREFACE.iter().copied().chain(settings).chain(frames.concat()))).await;
    }
    let client = sandbox.accept().await;
    assert_eq!(run(&client, sh("x", "echo alive")).await.unwrap().stdout(), "alive\n");
}

#[tokio::test]
async fn a_welcome_in_another_version_is_no_welcome() {
    let sandbox = Sandbox::start();
    for version in [0, 2, u16::MAX] {
        attack(&sandbox, &Welcome::Accepted { version }.encode()).await;
    }
    let client = sandbox.accept().await;
    assert_eq!(run(&client, sh("x", "true")).await.unwrap().exit_code(), 0);
}

/// gRPC messages that are not what they should be, over a sound connection.
#[tokio::test]
async fn any_message_is_survived() {
    let sandbox = Sandbox::start();
    let mut channel = sandbox.accept_channel().await;
    let body = prop::collection::vec(any::<u8>(), 0..200);
    let calls = ["Execute", "Attach", "Acknowledge", "Stdin", "Signal", "List", "WriteFile", "ReadFile", "Nosuch"];
    for (round, body) in samples(&body, 90).into_iter().enumerate() {
        let path = format!("/sentinal.agent.v1.Agent/{}", calls[round % calls.len()]);
        crate::harness::send_raw(&mut channel, &path, &body).await;
    }
    let client = crate::harness::client(channel);
    assert_eq!(run(&client, sh("x", "echo alive")).await.unwrap().stdout(), "alive\n");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let mut request = sh("x", "true");
    request.stdin = vec![0; 5 << 20];
    let status = crate::harness::start(&client, request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::OutOfRange, "{status}");
    assert_eq!(run(&client, sh("x", "true")).await.unwrap().exit_code(), 0);
}
