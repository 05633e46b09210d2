//! Webhooks from the command line.

use anyhow::{Context as _, ensure};
use sentinal_tests::{Fact, shared};

use crate::caller::Caller;

#[tokio::test]
async fn a_webhook_is_created_looked_at_tested_and_removed() -> Fact {
    let Some(server) = shared().await? else { return Ok(()) };
    let caller = Caller::of(server).await?;
    // A name that leads nowhere, on every machine (RFC 6761).
    let url = "https://receiver.invalid/hooks";
    let made = caller.gets(&["webhook", "create", url, "--event", "file.moved", "--description", "a test"]).await?;
    let (id, secret) = made.split_once(' ').context("an id and a secret")?;
    ensure!(secret.starts_with("whsec_"), "{made}");
    let listed = caller.gets(&["webhook", "ls"]).await?;
    ensure!(listed.lines().any(|line| line.starts_with(id) && line.contains("enabled") && line.ends_with(url)));
    let shown = caller.gets(&["webhook", "get", &id[..30]]).await?;
    ensure!(shown.contains("a test") && shown.contains("file.moved") && !shown.contains("whsec_"), "{shown}");
    let tested = caller.says(&["webhook", "test", id]).await?;
    ensure!(tested.status == 1 && tested.text().contains("delivered       false"), "{tested:?}");
    ensure!(caller.gets(&["webhook", "rm", id]).await? == id);
    let gone = caller.says(&["webhook", "get", id]).await?;
    ensure!(gone.status == 1 && gone.stderr.contains("does not exist"), "{gone:?}");
    for (arguments, status, words) in [
        (&["webhook", "get", "whk_0"][..], 64, "`sentinal webhook ls` lists them"),
        (&["webhook", "create", "http://127.0.0.1:1/"], 1, "--webhook http://HOST"),
        (&["webhook", "create", url, "--event", "sandbox.exploded"], 1, "sandbox.created"),
    ] {
        let said = caller.says(arguments).await?;
        ensure!(said.status == status && said.stderr.contains(words), "{arguments:?}: {said:?}");
    }
    Ok(())
}
