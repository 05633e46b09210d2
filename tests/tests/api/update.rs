//! Changing a sandbox in the middle of its life.

use std::time::Duration;

use anyhow::{Result, ensure};
use sentinal_tests::{Answer, Fact, Guest, Sandbox, guest, percent_encoded};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

async fn patch(guest: &Guest, body: Value) -> Result<Answer> {
    guest.client().patch(&format!("/sandbox/{}", guest.id())).json(&body).send().await
}

async fn patched(guest: &Guest, body: Value) -> Result<Value> {
    patch(guest, body).await?.expect(200)?.json()
}

#[tokio::test]
async fn a_sandbox_lives_longer_or_shorter_than_it_was_to() -> Fact {
    let Some(guest) = guest(json!({"ttl": 20})).await? else { return Ok(()) };
    let before = guest.client().sandbox(guest.id()).await?.expires_at;
    let longer = patched(&guest, json!({"ttl": 600})).await?;
    ensure!(before.as_str() < longer["expires_at"].as_str().unwrap_or_default(), "{before} {longer}");
    // All that was to end it, the agent inside included, has heard of it.
    tokio::time::sleep(Duration::from_secs(26)).await;
    guest.works().await?;
    patched(&guest, json!({"ttl": 1})).await?;
    let ended = guest.becomes("stopped", DEADLINE).await?;
    ensure!(ended.outcome.as_deref() == Some("expired"), "{ended:?}");
    patch(&guest, json!({"ttl": 600})).await?.refused(404, "not_found")?;
    guest.clean().await
}

#[tokio::test]
async fn labels_are_set_and_removed_and_others_stay() -> Fact {
    let Some(guest) = guest(json!({"labels": {"team": "blue", "draft": "yes"}})).await? else { return Ok(()) };
    let changed = patched(&guest, json!({"labels": {"draft": null, "stage": "two", "absent": null}})).await?;
    ensure!(changed["labels"] == json!({"team": "blue", "stage": "two"}), "{changed}");
    let read: Value = guest.client().get(&format!("/sandbox/{}", guest.id())).send().await?.expect(200)?.json()?;
    ensure!(read["labels"] == changed["labels"] && read["expires_at"] == changed["expires_at"], "{read}");
    let logs = guest.client().get(&format!("/logs?sandbox_id={}&kind=audit", guest.id())).send().await?.expect(200)?;
    ensure!(logs.text().contains("Sandbox Updated"), "{}", logs.text());
    let too_many: serde_json::Map<_, _> = (0..1000).map(|at| (at.to_string(), json!("x"))).collect();
    let refused = patch(&guest, json!({ "labels": too_many })).await?.refused(400, "invalid_request")?;
    ensure!(refused.detail.starts_with("labels: "), "{refused:?}");
    guest.works().await?;
    guest.gone().await
}

#[tokio::test]
async fn sandboxes_are_found_by_their_labels() -> Fact {
    let mark = format!("{} {:?}", std::process::id(), std::thread::current().id());
    let Some(guest) = guest(json!({"labels": {"mark": mark, "team": "blue"}})).await? else { return Ok(()) };
    let found = |label: String| {
        let (client, id) = (guest.client().clone(), guest.id().to_owned());
        async move {
            let all: Vec<Sandbox> = client.list(&format!("/sandbox?{label}")).await?;
            Ok::<_, anyhow::Error>(all.iter().filter(|sandbox| sandbox.id == id).count())
        }
    };
    let marked = format!("label=mark%3D{}", percent_encoded(&mark));
    ensure!(found(marked.clone()).await? == 1 && found(format!("{marked}&label=team=blue")).await? == 1);
    ensure!(found(format!("{marked}&label=team=red")).await? == 0);
    patched(&guest, json!({"labels": {"team": "red"}})).await?;
    ensure!(found(format!("{marked}&label=team=red")).await? == 1);
    guest.client().get("/sandbox?label=team").send().await?.refused(400, "invalid_request")?;
    guest.gone().await
}

#[tokio::test]
async fn what_cannot_be_changed_is_told_why() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let refused = patch(&guest, json!({"memory": "1Gi"})).await?.refused(400, "invalid_request")?;
    ensure!(refused.detail.contains("ttl, labels"), "{refused:?}");
    patch(&guest, json!({"ttl": 0.1})).await?.refused(400, "invalid_request")?;
    guest.pause().await?.expect(200)?;
    let refused = patch(&guest, json!({"ttl": 60})).await?.refused(409, "conflict")?;
    ensure!(refused.detail.contains("paused"), "{refused:?}");
    patched(&guest, json!({"labels": {"paused": "yes"}})).await?;
    guest.resume().await?.expect(200)?;
    guest.works().await?;
    guest.gone().await
}
