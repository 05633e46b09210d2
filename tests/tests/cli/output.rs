//! What is printed: JSON that parses, ids that may be shortened, nothing that drives a terminal.

use anyhow::{Context as _, Result, ensure};
use sentinal_tests::{Fact, shared};
use serde_json::Value;

use crate::caller::Caller;

#[tokio::test]
async fn every_answer_is_json_where_that_is_asked_for() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let json = async |arguments: &[&str]| -> Result<Value> {
        let said = caller.gets(arguments).await?;
        serde_json::from_str(&said).with_context(|| format!("{arguments:?}: {said}"))
    };
    let created = json(&["create", "--json", "-l", "test=json"]).await?;
    let id = created["id"].as_str().context("an id")?;
    ensure!(json(&["ls", "--json", "-l", "test=json"]).await?["items"][0]["id"] == id);
    ensure!(json(&["get", "--json", id]).await?["state"] == "running");
    let ran = json(&["exec", "--json", id, "--", "sh", "-c", "echo out; echo err >&2"]).await?;
    ensure!(ran["stdout"] == "out\n" && ran["stderr"] == "err\n" && ran["exit_code"] == 0, "{ran}");
    for arguments in [
        &["engines", "--json"][..],
        &["files", "ls", "--json", id],
        &["files", "mkdir", "--json", &format!("{id}:made")],
        &["files", "stat", "--json", &format!("{id}:made")],
        &["logs", "--json", id],
        &["events", "--json", id],
        &["top", "--json"],
        &["extend", "--json", id, "10m"],
        &["pause", "--json", id],
        &["resume", "--json", id],
        &["context", "ls", "--json"],
        &["rm", "--json", id],
    ] {
        json(arguments).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_beginning_of_an_id_is_enough() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let id = caller.gets(&["create"]).await?;
    let said = caller.gets(&["exec", &id[..30], "echo", "here"]).await?;
    ensure!(said == "here", "{said}");
    let other = caller.gets(&["create"]).await?;
    let ambiguous = caller.says(&["get", &id[..8]]).await?;
    ensure!(
        ambiguous.status == 64 && ambiguous.stderr.contains("sandboxes have an id that begins with"),
        "{ambiguous:?}"
    );
    caller.gets(&["rm", &id, &other]).await.map(drop)
}

#[tokio::test]
async fn what_a_sandbox_calls_its_files_does_not_drive_the_terminal() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    let id = caller.gets(&["create"]).await?;
    caller
        .gets(&["exec", &id, "--", "sh", "-c", r#"touch "$(printf 'a\033[31mb\r\nc')"; printf '\033[31mred\n'"#])
        .await?;
    for arguments in [&["files", "ls", &id][..], &["files", "ls", "-q", &id], &["logs", &id]] {
        let said = caller.gets(arguments).await?;
        ensure!(!said.contains(['\x1b', '\r']) && said.contains("[31m"), "{arguments:?}: {said:?}");
    }
    caller.gets(&["rm", &id]).await.map(drop)
}
