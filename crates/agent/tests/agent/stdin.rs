//! What programs are given to read.

use sentinal_agent_protocol::v1::{ExecuteRequest, StdinRequest};
use tonic::{Code, Status};

use crate::harness::{Client, Sandbox, collect, ended, output, run, sh, start, within};

fn chunk(id: &str, offset: u64, data: &[u8], end: bool) -> StdinRequest {
    StdinRequest { execution_id: id.to_owned(), offset, data: data.to_vec().into(), end, append: false }
}

async fn feed(client: &Client, chunks: Vec<StdinRequest>) -> Result<u64, Status> {
    let answer = within(client.clone().stdin(futures::stream::iter(chunks))).await?;
    Ok(answer.into_inner().offset)
}

#[tokio::test]
async fn without_input_standard_input_is_empty() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    assert_eq!(run(&client, sh("x", "cat; echo end")).await.unwrap().stdout(), "end\n");
}

#[tokio::test]
async fn input_given_at_the_start_is_read_to_its_end() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    for size in [1_usize, 65_536, 3 << 20] {
        let stdin: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let request = ExecuteRequest { stdin: stdin.clone(), ..sh(&size.to_string(), "cat") };
        let finished = run(&client, request).await.unwrap();
        assert!(finished.stdout == stdin, "{size} bytes came back as {}", finished.stdout.len());
    }
}

#[tokio::test]
async fn input_that_nobody_reads_is_no_failure() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let request = ExecuteRequest { stdin: vec![b'x'; 1 << 20], ..sh("x", "exec <&-; echo closed; exit 3") };
    let finished = run(&client, request).await.unwrap();
    assert_eq!((finished.exit_code(), finished.stdout()), (3, "closed\n"));
}

#[tokio::test]
async fn a_repeated_chunk_is_read_once() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let request = ExecuteRequest { stdin: b"ab".to_vec(), stdin_open: true, ..sh("x", "cat") };
    let events = start(&client, request).await.unwrap();
    assert_eq!(feed(&client, vec![chunk("x", 2, b"cd", false)]).await.unwrap(), 4);
    assert_eq!(feed(&client, vec![chunk("x", 2, b"cd", false)]).await.unwrap(), 4);
    assert_eq!(feed(&client, vec![chunk("x", 0, b"abcde", false), chunk("", 5, b"f", true)]).await.unwrap(), 6);
    let finished = collect(&client, "x", events).await.unwrap();
    assert_eq!(finished.stdout(), "abcdef");
}

#[tokio::test]
async fn a_gap_is_refused() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let mut events = start(&client, ExecuteRequest { stdin_open: true, ..sh("x", "cat") }).await.unwrap();
    let status = feed(&client, vec![chunk("x", 1, b"x", false)]).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert_eq!(feed(&client, vec![chunk("nosuch", 0, b"x", false)]).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(feed(&client, vec![]).await.unwrap_err().code(), Code::NotFound);
    feed(&client, vec![chunk("x", 0, b"", true)]).await.unwrap();
    assert_eq!(ended(&mut events).await.stdout_bytes, 0);
}

#[tokio::test]
async fn a_program_that_does_not_read_holds_its_input_up_and_nothing_else() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let request = ExecuteRequest { stdin_open: true, ..sh("x", "echo ready; sleep 1000") };
    let mut events = start(&client, request).await.unwrap();
    output(&mut events).await;
    let chunks: Vec<StdinRequest> = (0..20).map(|at| chunk("x", at * 65_536, &vec![b'x'; 65_536], at == 19)).collect();
    let feeding = tokio::spawn({
        let client = client.clone();
        async move { feed(&client, chunks).await }
    });
    assert_eq!(run(&client, sh("y", "echo other")).await.unwrap().stdout(), "other\n");
    assert!(!feeding.is_finished());
    let kill = sentinal_agent_protocol::v1::SignalRequest { execution_id: "x".to_owned(), signal: libc::SIGKILL };
    within(client.clone().signal(kill)).await.unwrap();
    ended(&mut events).await;
    // Nobody reads it any more: it is taken and dropped.
    within(feeding).await.unwrap().unwrap();
}
