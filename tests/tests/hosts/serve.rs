//! A server whose node can never start ends with the node's reason, instead of going on without sandboxes.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use sentinal_tests::{Binaries, Fact};
use tokio::{process::Command, time::timeout};

const DEADLINE: Duration = Duration::from_secs(60);

/// `EX_CONFIG` of sysexits.h.
const CONFIGURATION: i32 = 78;

#[tokio::test]
async fn a_server_whose_node_cannot_start_says_why_and_ends() -> Fact {
    let (binaries, data) = (Binaries::find().await?, tempfile::tempdir_in("/var/tmp")?);
    let mut server = Command::new(&binaries.sentinal);
    server.args(["serve", "--listen", "127.0.0.1:0", "--agent", "/nowhere/agent", "--data-dir"]).arg(data.path());
    let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let ended = timeout(DEADLINE, server.wait_with_output()).await.context("the server goes on")??;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.code() == Some(CONFIGURATION), "{}: {said}", ended.status);
    for words in ["the agent is not at /nowhere/agent", "the node cannot start"] {
        ensure!(said.contains(words), "{said}");
    }
    Ok(())
}
