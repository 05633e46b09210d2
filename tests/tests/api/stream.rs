//! Output as it comes, by server-sent events.

use std::time::Duration;

use anyhow::{Context, ensure};
use sentinal_tests::{Fact, Followed, NewExecution, eventually, guest};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn events_come_while_the_program_runs_and_end_with_the_result() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let line = "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two >&2; echo three; exit 5";
    let body = NewExecution::shell(line).within(guest.id());
    let mut events = guest.client().post("/execute").json(body.as_json()).events().await?;
    let mut seen = Followed::default();
    while seen.stdout.is_empty() {
        let event = events.next().await?.context("the stream ended before the program")?;
        ensure!(!seen.take(&event)?, "finished before it could be");
    }
    ensure!(seen.stdout == b"one\n", "{seen:?}");
    let execution = seen.execution.clone().context("the first event says which execution")?;
    ensure!(guest.client().execution(&execution).await?.state == "running", "the events came too late");
    guest.shell("touch go").await?.ok()?;
    seen.drain(&mut events).await?;
    ensure!(seen.stdout == b"one\nthree\n" && seen.stderr == b"two\n", "{seen:?}");
    let end = seen.finished.context("a result")?;
    ensure!(end.id == execution && end.exit_code == Some(5) && end.state == "finished", "{end:?}");
    ensure!(events.next().await?.is_none(), "an event after the last");
    guest.gone().await
}

#[tokio::test]
async fn each_stream_keeps_its_order_under_a_flood_on_both() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let body = NewExecution::shell("seq 1 200000 & seq 1 200000 >&2; wait").within(guest.id());
    let mut events = guest.client().post("/execute").json(body.as_json()).events().await?;
    let mut seen = Followed::default();
    seen.drain(&mut events).await?;
    let expected: Vec<u8> = (1..=200_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    ensure!(seen.stdout == expected, "stdout: {} of {} bytes", seen.stdout.len(), expected.len());
    ensure!(seen.stderr == expected, "stderr: {} of {} bytes", seen.stderr.len(), expected.len());
    guest.gone().await
}

#[tokio::test]
async fn a_broken_stream_is_taken_up_again_where_it_broke() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let line = "for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.1; done";
    let body = NewExecution::shell(line).within(guest.id());
    let mut events = guest.client().post("/execute").json(body.as_json()).events().await?;
    let mut seen = Followed::default();
    while seen.stdout.len() < 20 {
        let event = events.next().await?.context("the stream ended before the program")?;
        seen.take(&event)?;
    }
    drop(events);
    let execution = seen.execution.clone().context("the first event says which execution")?;
    let path = format!("/execution/{execution}/output?stream=stdout&offset={}&follow=true", seen.stdout.len());
    guest.client().get(&path).read_into(&mut seen.stdout).await?;
    let expected = [1, 2, 3, 4, 5, 6, 7, 8].map(|i| format!("line {i}\n")).concat();
    ensure!(seen.stdout == expected.as_bytes(), "{:?}", String::from_utf8_lossy(&seen.stdout));
    ensure!(guest.client().execution(&execution).await?.exit_code == Some(0), "a lost client is no reason to end");
    guest.gone().await
}

#[tokio::test]
async fn a_client_that_stops_reading_holds_up_nobody() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let body = NewExecution::shell("seq 1 1000000; echo end >&2").within(guest.id()).as_json().to_string();
    let mut deaf = guest.client().connect().await?;
    let head = format!(
        "POST /api/v1/execute HTTP/1.1\r\nHost: sentinal\r\n{}Accept: text/event-stream\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        guest.client().authorization(),
        body.len()
    );
    deaf.write_all(head.as_bytes()).await?;
    let mut first = [0; 64];
    ensure!(deaf.read(&mut first).await? > 0, "no answer");
    guest.works().await?;
    let ended = || async {
        let all: Vec<sentinal_tests::Execution> =
            guest.client().list(&format!("/execution?sandbox_id={}", guest.id())).await?;
        let flood = all.last().context("no execution")?;
        ensure!(flood.state == "finished" && flood.exit_code == Some(0), "still {flood:?}");
        Ok(flood.id.clone())
    };
    let id = eventually("the end of a flood that nobody reads", Duration::from_secs(60), ended).await?;
    ensure!(
        guest.client().output(&id, "stdout", 0).await?.ends_with(b"\n1000000\n"),
        "its output has to be stored whole"
    );
    drop(deaf);
    guest.gone().await
}
