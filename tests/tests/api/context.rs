//! Contexts: what is refused, and what they are to the rest of the API.

use anyhow::{Context as _, ensure};
use sentinal_tests::{Fact, guest};
use serde_json::{Value, json};

#[tokio::test]
async fn what_cannot_be_a_context_is_told_why() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let path = format!("/sandbox/{}/context", guest.id());
    for body in [
        json!({}),
        json!({"language": "cobol"}),
        json!({"language": "python", "cwd": "../x"}),
        json!({"language": "python", "env": {"a=b": "c"}}),
        json!({"language": "python", "user": "a b"}),
        json!({"language": "python", "code": "1"}),
    ] {
        guest.client().post(&path).json(&body).send().await?.refused(400, "invalid_request")?;
    }
    let nowhere = guest.client().post(&path).json(&json!({"language": "python", "cwd": "/nowhere"}));
    nowhere.send().await?.refused(400, "invalid_request")?;
    let listed: Value = guest.client().get(&path).send().await?.expect(200)?.json()?;
    ensure!(listed == json!({"items": [], "next": null}), "{listed}");
    let nobody = "ctx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70";
    guest.client().delete(&format!("{path}/{nobody}")).send().await?.refused(404, "not_found")?;
    guest.client().delete(&format!("{path}/ctx_1")).send().await?.refused(404, "not_found")?;
    let execute = |body: Value| guest.client().post("/execute").json(&body).send();
    let within = json!({"sandbox_id": guest.id(), "context_id": nobody, "code": "1"});
    execute(within.clone()).await?.refused(404, "not_found")?;
    for (field, value) in [
        ("command", json!("a")),
        ("args", json!([])),
        ("language", json!("python")),
        ("env", json!({})),
        ("cwd", json!("/")),
        ("user", json!("root")),
        ("stdin", json!("")),
        ("stdin_open", json!(true)),
        ("terminal", json!({"cols": 1, "rows": 1})),
        ("context_id", json!("ctx_1")),
        ("code", Value::Null),
        ("sandbox_id", Value::Null),
    ] {
        let mut body = within.clone();
        body[field] = value;
        let refused = execute(body).await?.refused(400, "invalid_request")?;
        ensure!(refused.detail.starts_with(field), "{field}: {refused:?}");
    }
    guest.gone().await
}

#[tokio::test]
async fn sixteen_contexts_are_open_at_most() -> Fact {
    let Some(guest) = guest(json!({"memory": "512Mi"})).await? else { return Ok(()) };
    let path = format!("/sandbox/{}/context", guest.id());
    let open = || guest.client().post(&path).json(&json!({"language": "bash"})).send();
    let first: Value = open().await?.expect(201)?.json()?;
    for _ in 1..16 {
        open().await?.expect(201)?;
    }
    let refused = open().await?.refused(429, "quota_exceeded")?;
    ensure!(refused.detail == "16 contexts are open in this sandbox; close one", "{refused:?}");
    let id = first["id"].as_str().context("an id")?;
    guest.client().delete(&format!("{path}/{id}")).send().await?.expect(204)?;
    open().await?.expect(201)?;
    open().await?.refused(429, "quota_exceeded")?;
    guest.gone().await
}

#[tokio::test]
async fn results_are_in_an_execution_and_in_its_events_and_not_in_lists() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let new = guest.client().post(&format!("/sandbox/{}/context", guest.id())).json(&json!({"language": "python"}));
    let context: Value = new.send().await?.expect(201)?.json()?;
    let body = json!({"sandbox_id": guest.id(), "context_id": context["id"], "code": "print('a'); 6 * 7"});
    let ran: Value = guest.client().post("/execute").json(&body).send().await?.expect(200)?.json()?;
    let results = json!([{"type": "result", "data": {"text/plain": "42"}}]);
    ensure!(ran["results"] == results && ran["results_truncated"] == false, "{ran}");
    let id = ran["id"].as_str().context("an id")?;
    let read: Value = guest.client().get(&format!("/execution/{id}")).send().await?.expect(200)?.json()?;
    ensure!(read == ran, "{read} instead of {ran}");
    let listed: Value =
        guest.client().get(&format!("/execution?sandbox_id={}", guest.id())).send().await?.expect(200)?.json()?;
    let listed = &listed["items"][0];
    ensure!(listed["context_id"] == context["id"] && listed.get("results").is_none(), "{listed}");
    let mut events = guest.client().post("/execute").json(&body).header("accept", "text/event-stream").events().await?;
    let mut last = None;
    while let Some(event) = events.next().await? {
        last = Some(event);
    }
    let last: Value = serde_json::from_str(&last.context("events")?.data)?;
    ensure!(last["results"] == results, "{last}");
    guest.gone().await
}
