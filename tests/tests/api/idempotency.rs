//! Requests that are sent again because their sender does not know what became of them.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use sentinal_tests::{Answer, Fact, Guest, guest};
use serde_json::{Value, json};

/// A key of this test alone.
fn key(guest: &Guest, name: &str) -> String {
    format!("{name}-{}", guest.id())
}

async fn post(guest: &Guest, path: &str, key: &str, body: &Value) -> Result<Answer> {
    guest.client().post(path).header("Idempotency-Key", key).json(body).send().await
}

fn is_replay(answer: &Answer) -> bool {
    answer.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
}

#[tokio::test]
async fn a_create_that_is_sent_again_creates_nothing() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let (key, body) = (key(&guest, "create"), json!({"labels": {"mark": guest.id()}}));
    let sent = try_join_all((0..8).map(|_| post(&guest, "/sandbox", &key, &body))).await?;
    let mut ids = Vec::new();
    for answer in &sent {
        ids.push(answer.clone().expect(201)?.json::<Value>()?["id"].as_str().unwrap_or_default().to_owned());
    }
    ensure!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    ensure!(sent.iter().filter(|answer| !is_replay(answer)).count() == 1, "{sent:?}");
    let found: Vec<Value> = guest.client().list(&format!("/sandbox?label=mark%3D{}", guest.id())).await?;
    ensure!(found.len() == 1, "{found:?}");

    // Its answer stays, as it is by then.
    guest.client().delete(&format!("/sandbox/{}", ids[0])).send().await?.expect(200)?;
    let after = post(&guest, "/sandbox", &key, &body).await?;
    ensure!(is_replay(&after), "{after:?}");
    let after: Value = after.expect(201)?.json()?;
    ensure!(after["id"] == json!(ids[0]) && after["state"] == "stopped", "{after}");
    guest.gone().await
}

#[tokio::test]
async fn a_program_that_is_sent_again_runs_once() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let body = json!({"sandbox_id": guest.id(), "command": "echo once >> count; sleep 1; wc -l < count"});
    let key = key(&guest, "execute");
    let sent = try_join_all((0..4).map(|_| post(&guest, "/execute", &key, &body))).await?;
    let first: Value = sent[0].clone().expect(200)?.json()?;
    for answer in sent {
        let execution: Value = answer.expect(200)?.json()?;
        ensure!(execution["id"] == first["id"] && execution["stdout"] == "1\n", "{execution}");
    }
    // In whatever way it is answered.
    let events = guest.client().post("/execute").header("Idempotency-Key", &key);
    let events = events.header("Accept", "text/event-stream").json(&body).send().await?.expect(200)?;
    ensure!(is_replay(&events) && events.text().contains("event: result"), "{}", events.text());
    guest.gone().await
}

#[tokio::test]
async fn a_one_shot_that_is_sent_again_runs_once() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let (key, body) = (key(&guest, "once"), json!({"command": "cat /proc/sys/kernel/random/uuid"}));
    let first: Value = post(&guest, "/execute", &key, &body).await?.expect(200)?.json()?;
    let again = post(&guest, "/execute", &key, &body).await?;
    ensure!(is_replay(&again), "{again:?}");
    let again: Value = again.expect(200)?.json()?;
    ensure!(again == first, "{first} {again}");
    guest.gone().await
}

#[tokio::test]
async fn a_key_is_for_one_request() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let key = key(&guest, "mixed");
    let program = |line: &str| json!({"sandbox_id": guest.id(), "command": line});
    post(&guest, "/execute", &key, &program("true")).await?.expect(200)?;
    let refused = post(&guest, "/execute", &key, &program("false")).await?.refused(409, "conflict")?;
    ensure!(refused.detail.starts_with("Idempotency-Key: "), "{refused:?}");
    post(&guest, "/sandbox", &key, &json!({})).await?.refused(409, "conflict")?;
    for bad in ["", "two words", &"k".repeat(256)] {
        let refused = post(&guest, "/execute", bad, &program("true")).await?.refused(400, "invalid_request")?;
        ensure!(refused.detail.starts_with("Idempotency-Key: "), "{refused:?}");
    }
    // What was refused made nothing, and may be sent again when it can be answered.
    let key = self::key(&guest, "refused");
    guest.pause().await?;
    for _ in 0..2 {
        post(&guest, "/execute", &key, &program("true")).await?.refused(409, "conflict")?;
    }
    guest.resume().await?;
    let answer = post(&guest, "/execute", &key, &program("true")).await?.expect(200)?;
    ensure!(!is_replay(&answer), "{answer:?}");
    guest.gone().await
}
