//! Output that is more than fits, slow to be read, or outlives its program.

use sentinal_agent_protocol::v1::{AcknowledgeRequest, AttachRequest, ListRequest, execution_event::Event};
use tonic::Code;

use crate::harness::{Client, Sandbox, collect, output, run, sh, start, until, within};

const HELD_BYTES: u64 = 256 * 1024;

async fn written(client: &Client) -> u64 {
    let list = within(client.clone().list(ListRequest {})).await.unwrap().into_inner();
    list.executions[0].stdout_bytes
}

fn attach(id: &str, stdout_offset: u64) -> AttachRequest {
    AttachRequest { execution_id: id.to_owned(), stdout_offset, stderr_offset: 0 }
}

#[tokio::test]
async fn ten_mebibytes_come_whole() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let script = "i=0; while [ $i -lt 10 ]; do head -c 1048576 /dev/zero | tr '\\0' $i; i=$((i+1)); done";
    let finished = run(&client, sh("x", script)).await.unwrap();
    assert_eq!(finished.stdout.len(), 10 << 20);
    assert!(finished.stdout.iter().enumerate().all(|(at, byte)| usize::from(byte - b'0') == at >> 20));
}

#[tokio::test]
async fn without_acknowledgement_the_program_waits() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let mut events = start(&client, sh("x", "head -c 4000000 /dev/zero; echo done >&2")).await.unwrap();
    let mut received = 0;
    while received < HELD_BYTES {
        received += output(&mut events).await.data.len() as u64;
    }
    assert_eq!(received, HELD_BYTES);
    assert_eq!(written(&client).await, HELD_BYTES);
    // One byte's room is one byte more.
    let request = AcknowledgeRequest { execution_id: "x".to_owned(), stdout_offset: 1, stderr_offset: 0 };
    within(client.clone().acknowledge(request)).await.unwrap();
    let more = output(&mut events).await;
    assert_eq!((more.offset, more.data.len()), (HELD_BYTES, 1));
}

#[tokio::test]
async fn a_program_that_ended_with_too_much_output_ends_when_it_is_taken() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    // More than is held, less than with the pipe: the program ends, its result cannot.
    let count = HELD_BYTES + 40_000;
    let mut events = start(&client, sh("x", &format!("head -c {count} /dev/zero"))).await.unwrap();
    let mut received = 0;
    while received < HELD_BYTES {
        received += output(&mut events).await.data.len() as u64;
    }
    drop(events);
    let request = AcknowledgeRequest { execution_id: "x".to_owned(), stdout_offset: HELD_BYTES, stderr_offset: 0 };
    within(client.clone().acknowledge(request)).await.unwrap();
    let mut events = within(client.clone().attach(attach("x", received))).await.unwrap().into_inner();
    assert_eq!(output(&mut events).await.offset, received);
    assert_eq!(crate::harness::ended(&mut events).await.stdout_bytes, count);
}

#[tokio::test]
async fn an_attach_below_what_is_held_begins_there() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let finished = run(&client, sh("x", "printf 0123456789")).await.unwrap();
    assert_eq!(finished.stdout(), "0123456789");
    let mut events = within(client.clone().attach(attach("x", 3))).await.unwrap().into_inner();
    let first = within(events.message()).await.unwrap().unwrap().event.unwrap();
    assert!(matches!(first, Event::Started(_)));
    let next = within(events.message()).await.unwrap().unwrap().event.unwrap();
    assert!(matches!(next, Event::Ended(_)), "all was acknowledged: {next:?}");
}

#[tokio::test]
async fn an_attach_continues_at_its_offset() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let mut events = start(&client, sh("x", "printf 0123456789")).await.unwrap();
    assert_eq!(output(&mut events).await.data, b"0123456789");
    for (offset, expected) in [(0, "0123456789"), (7, "789")] {
        let mut events = within(client.clone().attach(attach("x", offset))).await.unwrap().into_inner();
        let output = output(&mut events).await;
        assert_eq!((output.offset, output.data), (offset, expected.as_bytes().to_vec()));
    }
    let status = within(client.clone().attach(attach("y", 0))).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn followers_are_limited_and_do_not_block_each_other() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let first = start(&client, sh("x", "head -c 1000000 /dev/zero")).await.unwrap();
    let mut idle = Vec::new();
    for _ in 1..8 {
        idle.push(within(client.clone().attach(attach("x", 0))).await.unwrap().into_inner());
    }
    let status = within(client.clone().attach(attach("x", 0))).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    // Seven that read nothing at all.
    let finished = collect(&client, "x", first).await.unwrap();
    assert_eq!(finished.stdout.len(), 1_000_000);
}

#[tokio::test]
async fn a_background_process_does_not_hold_up_the_result() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let finished = run(&client, sh("x", "sleep 1000 & echo $!")).await.unwrap();
    let pid: i32 = finished.stdout().trim().parse().unwrap();
    assert_eq!(finished.exit_code(), 0);
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "it lives on");
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_background_process_may_go_on_writing() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let mark = sandbox.path("mark");
    let script = format!("(read line; head -c 1000000 /dev/zero; echo $? > {mark}) < /proc/self/fd/0 &");
    // With nothing to read the background process waits until its input is closed, after the program's end.
    let script = format!("({script}) ; exit 0");
    let finished = run(&client, sh("x", &script)).await.unwrap();
    assert_eq!(finished.exit_code(), 0);
    until(|| std::fs::read_to_string(&mark).is_ok_and(|text| text == "0\n")).await;
}
