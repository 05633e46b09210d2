//! Programs on a terminal of their own.

use sentinal_agent_protocol::v1::{
    ExecuteRequest, ExecutionEvent, ResizeRequest, StdinRequest, TerminalSize, ended::How,
};
use tonic::{Code, Status, Streaming};

use crate::harness::{Client, Sandbox, ended, output, run, sh, start, within};

const SIZE: TerminalSize = TerminalSize { columns: 80, rows: 24 };

fn on_terminal(id: &str, script: &str) -> ExecuteRequest {
    ExecuteRequest { terminal: Some(SIZE), ..sh(id, script) }
}

async fn write(client: &Client, id: &str, data: &[u8]) -> Result<u64, Status> {
    let chunk = StdinRequest {
        execution_id: id.to_owned(),
        data: data.to_vec().into(),
        append: true,
        ..StdinRequest::default()
    };
    Ok(within(client.clone().stdin(futures::stream::iter([chunk]))).await?.into_inner().offset)
}

async fn resize(client: &Client, id: &str, columns: u32, rows: u32) -> Result<(), Status> {
    let request = ResizeRequest { execution_id: id.to_owned(), size: Some(TerminalSize { columns, rows }) };
    within(client.clone().resize(request)).await.map(drop)
}

/// Reads until the output contains `text`.
async fn until(events: &mut Streaming<ExecutionEvent>, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        seen += std::str::from_utf8(&output(events).await.data).unwrap();
    }
    seen
}

#[tokio::test]
async fn a_program_has_a_terminal_of_its_own_size() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let script = "tty | cut -c 1-9; stty size; echo $TERM; echo error >&2; : < /dev/tty && echo own";
    let finished = run(&client, on_terminal("x", script)).await.unwrap();
    assert_eq!(finished.stdout(), "/dev/pts/\r\n24 80\r\nxterm-256color\r\nerror\r\nown\r\n");
    assert_eq!((finished.exit_code(), finished.stderr()), (0, ""));
}

#[tokio::test]
async fn keys_are_echoed_and_the_interrupt_key_interrupts() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let script = "trap 'echo interrupted; exit 7' INT; echo ready; while :; do sleep 0.05; done";
    let mut events = start(&client, on_terminal("x", script)).await.unwrap();
    until(&mut events, "ready").await;
    write(&client, "x", b"typed").await.unwrap();
    until(&mut events, "typed").await;
    write(&client, "x", b"\x03").await.unwrap();
    until(&mut events, "interrupted\r\n").await;
    assert_eq!(ended(&mut events).await.how, Some(How::ExitCode(7)));
}

#[tokio::test]
async fn another_size_is_told_to_the_program() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut events = start(&client, on_terminal("x", script)).await.unwrap();
    until(&mut events, "ready").await;
    for (columns, rows) in [(0, 1), (1, 0), (65_536, 1)] {
        assert_eq!(resize(&client, "x", columns, rows).await.unwrap_err().code(), Code::InvalidArgument);
    }
    resize(&client, "x", 132, 50).await.unwrap();
    until(&mut events, "50 132\r\n").await;
    ended(&mut events).await;
    assert_eq!(resize(&client, "x", 80, 24).await.unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn what_has_no_terminal_has_no_size() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let events = start(&client, sh("x", "echo ready; sleep 1000")).await.unwrap();
    assert_eq!(resize(&client, "x", 80, 24).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(resize(&client, "nosuch", 80, 24).await.unwrap_err().code(), Code::NotFound);
    let request = ExecuteRequest { terminal: Some(TerminalSize { columns: 0, rows: 0 }), ..sh("y", "true") };
    assert_eq!(run(&client, request).await.unwrap_err().code(), Code::InvalidArgument);
    drop(events);
}

#[tokio::test]
async fn all_output_comes_before_the_end_also_of_what_was_written_last() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    for round in 0..20 {
        let finished = run(&client, on_terminal(&format!("x{round}"), "seq 1 2000")).await.unwrap();
        let numbers: Vec<&str> = finished.stdout().split_terminator("\r\n").collect();
        assert_eq!((numbers.len(), numbers.last()), (2000, Some(&"2000")), "round {round}");
    }
}

#[tokio::test]
async fn what_is_left_on_a_terminal_is_told_that_it_is_gone() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let left = sandbox.path("left");
    let script = format!("(trap 'echo gone > {left}; exit' HUP; while :; do sleep 0.05; done) & sleep 0.3");
    let finished = run(&client, on_terminal("x", &script)).await.unwrap();
    assert_eq!(finished.exit_code(), 0);
    crate::harness::until(|| std::fs::read_to_string(&left).is_ok_and(|text| text == "gone\n")).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_line_on_the_terminal() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let request = ExecuteRequest { argv: vec!["no-such-program".to_owned()], ..on_terminal("x", "") };
    let mut events = start(&client, request).await.unwrap();
    let line = output(&mut events).await;
    assert_eq!(line.data, b"sentinal: no-such-program: command not found\r\n");
    assert_eq!(ended(&mut events).await.stderr_bytes, 0);
}
