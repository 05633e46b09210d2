//! A thousand clients follow one program.

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use sentinal_tests::{EventStream, Fact, Followed, Guest, NewExecution, guest};
use serde_json::{Value, json};

use crate::{DEADLINE, TURN, all_let_go, room_for, sockets};

/// Half of them follow its output, half the events of its sandbox.
const FOLLOWERS: usize = 1000;
const LINES: usize = 2000;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_followers_get_every_byte_in_order() -> Fact {
    let _turn = TURN.lock().await;
    if !room_for(FOLLOWERS as u64, "a thousand followers")? {
        return Ok(());
    }
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let before = sockets(guest.place())?;
    let line = format!("until [ -e go ]; do sleep 0.1; done; seq 1 {LINES}; touch written");
    let program = guest.client().execute_in_background(NewExecution::shell(&line).within(guest.id())).await?;
    let output = format!("/execution/{}/output?follow=true", program.id);
    let events = format!("/events?sandbox_id={}", guest.id());
    let streams = (0..FOLLOWERS / 2).map(|_| guest.client().get(&events).deadline(DEADLINE).events());
    let streams = try_join_all(streams).await?;
    // One that asks, and reads nothing of it.
    let deaf = guest.client().get(&events).events().await?;
    let followed = async {
        let outputs = (0..FOLLOWERS / 2).map(|_| followed(&guest, &output));
        let ends = streams.into_iter().map(|stream| end_of(stream, &program.id));
        tokio::try_join!(try_join_all(outputs), try_join_all(ends))
    };
    let go = async {
        guest.shell("touch go; until [ -e written ]; do sleep 0.1; done").await?.ok()?;
        // Nobody who asks for something else is held up by them.
        guest.works().await
    };
    let (followed, went) = tokio::join!(followed, go);
    went?;
    let expected: Vec<u8> = (1..=LINES).flat_map(|line| format!("{line}\n").into_bytes()).collect();
    for output in followed?.0 {
        ensure!(output == expected, "{} bytes of {}, or others", output.len(), expected.len());
    }
    drop(deaf);
    all_let_go(guest.place(), before).await?;
    guest.gone().await
}

async fn followed(guest: &Guest, path: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    guest.client().get(path).deadline(DEADLINE).read_into(&mut bytes).await?;
    Ok(bytes)
}

/// Reads until the program's end is told.
async fn end_of(mut stream: EventStream, execution: &str) -> Fact {
    loop {
        let event = stream.next().await?.context("the stream ended before the program")?;
        let event: Value = serde_json::from_str(&event.data)?;
        if event["type"] == "execution.completed" && event["execution_id"] == execution {
            return Ok(());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_executions_are_streamed_side_by_side() -> Fact {
    const AT_ONCE: usize = 200;
    let _turn = TURN.lock().await;
    if !room_for(AT_ONCE as u64, "two hundred streams")? {
        return Ok(());
    }
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let before = sockets(guest.place())?;
    let runs = (0..AT_ONCE).map(|number| streamed(&guest, number));
    try_join_all(runs).await?;
    all_let_go(guest.place(), before).await?;
    guest.gone().await
}

async fn streamed(guest: &Guest, number: usize) -> Fact {
    let body = NewExecution::shell(&format!("echo {number}; sleep 1; echo {number} >&2")).within(guest.id());
    let mut events = guest.client().post("/execute").json(body.as_json()).deadline(DEADLINE).events().await?;
    let mut seen = Followed::default();
    seen.drain(&mut events).await?;
    let expected = format!("{number}\n").into_bytes();
    ensure!(seen.stdout == expected && seen.stderr == expected, "{number}: {seen:?}");
    Ok(())
}
