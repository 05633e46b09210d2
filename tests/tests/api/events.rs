//! Events: a page of them, and as they happen.

use anyhow::{Context as _, Result, ensure};
use sentinal_tests::{EventStream, Fact, Guest, guest};
use serde_json::{Value, json};

async fn page(guest: &Guest, query: &str) -> Result<Value> {
    guest.client().get(&format!("/events?sandbox_id={}{query}", guest.id())).send().await?.expect(200)?.json()
}

fn types(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|event| event["type"].as_str()).collect()
}

#[tokio::test]
async fn what_happens_to_a_sandbox_is_told_in_order_and_in_pages() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    guest.works().await?;
    let all = page(&guest, "").await?;
    let began = ["sandbox.created", "execution.started", "execution.completed"];
    ensure!(types(&all).starts_with(&began), "{all}");
    let first = page(&guest, "&limit=1").await?;
    ensure!(first["items"][0] == all["items"][0] && first["next"] == all["items"][0]["cursor"], "{first}");
    let rest = page(&guest, &format!("&cursor={}", first["next"].as_str().unwrap_or_default())).await?;
    ensure!(rest["items"][0] == all["items"][1], "{rest}");
    guest.gone().await
}

/// The types of what comes until one is `last`, and the cursor of that one.
async fn until(stream: &mut EventStream, last: &str) -> Result<(Vec<String>, String)> {
    let mut types = Vec::new();
    loop {
        let event = stream.next().await?.context("the stream ended")?;
        let data: Value = serde_json::from_str(&event.data)?;
        ensure!(event.name == "event" && data["cursor"] == json!(event.id), "{event:?}");
        types.push(data["type"].as_str().unwrap_or_default().to_owned());
        if types.last().is_some_and(|name| name == last) {
            return Ok((types, event.id));
        }
    }
}

#[tokio::test]
async fn events_come_as_they_happen_and_go_on_where_a_stream_broke_off() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let path = format!("/events?sandbox_id={}", guest.id());
    // From now on: not what was before.
    let mut live = guest.client().get(&path).events().await?;
    guest.works().await?;
    let (types, last) = until(&mut live, "execution.completed").await?;
    ensure!(types == ["execution.started", "execution.completed"], "{types:?}");
    drop(live);

    guest.pause().await?.expect(200)?;
    let mut again = guest.client().get(&path).header("Last-Event-ID", &last).events().await?;
    let (types, _) = until(&mut again, "sandbox.paused").await?;
    ensure!(types == ["sandbox.paused"], "{types:?}");
    guest.resume().await?.expect(200)?;
    until(&mut again, "sandbox.resumed").await?;
    let mut whole = guest.client().get(&format!("{path}&cursor=0&follow=true")).events().await?;
    let (types, _) = until(&mut whole, "sandbox.resumed").await?;
    ensure!(types.first().is_some_and(|name| name == "sandbox.created"), "{types:?}");

    let wrong = guest.client().get(&path).header("accept", "text/event-stream").header("Last-Event-ID", "x");
    wrong.send().await?.refused(400, "invalid_request")?;
    guest.client().get("/events?cursor=-1").send().await?.refused(400, "invalid_request")?;
    guest.gone().await
}
