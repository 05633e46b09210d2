//! Signals and standard input for programs that run.

use std::time::Duration;

use anyhow::{Result, ensure};
use sentinal_tests::{Answer, Execution, Fact, Guest, NewExecution, guest};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);

async fn begun(guest: &Guest, line: &str, open: bool) -> Result<Execution> {
    let new = NewExecution::shell(line).with("stdin_open", open).within(guest.id());
    guest.client().execute_in_background(new).await
}

async fn signal(guest: &Guest, execution: &Execution, signal: Value) -> Result<Answer> {
    let path = format!("/execution/{}/signal", execution.id);
    guest.client().post(&path).json(&json!({ "signal": signal })).send().await
}

async fn send(guest: &Guest, execution: &Execution, query: &str, bytes: impl Into<Vec<u8>>) -> Result<Answer> {
    let path = format!("/execution/{}/stdin{query}", execution.id);
    guest.client().post(&path).bytes("application/octet-stream", bytes.into()).send().await
}

/// Sends them, and expects the program to have been given so many bytes in all.
async fn sent(guest: &Guest, execution: &Execution, query: &str, bytes: &str, given: u64) -> Result<()> {
    let answer: Value = send(guest, execution, query, bytes).await?.expect(200)?.json()?;
    ensure!(answer == json!({ "offset": given }), "{query} {bytes:?}: {answer} instead of {given}");
    Ok(())
}

#[tokio::test]
async fn a_signal_reaches_the_program_and_what_it_started() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    // The shell is told to wait for its child; both get the signal.
    let trap = "trap 'echo caught; exit 7' USR1; echo > ready; while :; do sleep 0.1; done";
    let trapped = begun(&guest, trap, false).await?;
    guest.shell("until [ -e ready ]; do sleep 0.1; done").await?.ok()?;
    signal(&guest, &trapped, json!("SIGUSR1")).await?.expect(200)?;
    let ended = guest.end_of(&trapped.id, DEADLINE).await?;
    ensure!(ended.exit_code == Some(7) && ended.stdout_bytes()? == b"caught\n", "{ended:?}");
    let killed = begun(&guest, "sleep 1000 & sleep 1000", false).await?;
    signal(&guest, &killed, json!(9)).await?.expect(200)?;
    let ended = guest.end_of(&killed.id, DEADLINE).await?;
    ensure!((ended.outcome.as_deref(), ended.signal) == (Some("signaled"), Some(9)), "{ended:?}");
    ensure!(guest.shell("pgrep -c sleep || true").await?.ok()? == "0\n", "its children live on");
    guest.gone().await
}

#[tokio::test]
async fn a_signal_that_cannot_be_sent_is_told_why() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let ended = guest.shell("true").await?;
    let refused = signal(&guest, &ended, json!("TERM")).await?.refused(409, "conflict")?;
    ensure!(refused.detail.contains("has ended"), "{refused:?}");
    let refused = signal(&guest, &ended, json!("SIGNAL")).await?.refused(400, "invalid_request")?;
    ensure!(refused.detail.contains("no such signal"), "{refused:?}");
    let nobody = Execution { id: "exe_0190f5c8e4b07c3e9f6a8d2b4c5e6f70".to_owned(), ..ended };
    signal(&guest, &nobody, json!("TERM")).await?.refused(404, "not_found")?;
    guest.gone().await
}

#[tokio::test]
async fn standard_input_is_sent_while_a_program_runs() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let new = NewExecution::shell("cat").with("stdin", "one ").with("stdin_open", true).within(guest.id());
    let cat = guest.client().execute_in_background(new).await?;
    sent(&guest, &cat, "", "", 4).await?;
    sent(&guest, &cat, "", "two ", 8).await?;
    // Sent again, as after an answer that was lost.
    sent(&guest, &cat, "?offset=4", "two three ", 14).await?;
    send(&guest, &cat, "?offset=15", "gap").await?.refused(400, "invalid_request")?;
    sent(&guest, &cat, "?end=true", "four", 18).await?;
    let ended = guest.end_of(&cat.id, DEADLINE).await?;
    ensure!(ended.ok()? == "one two three four", "{ended:?}");
    let refused = send(&guest, &cat, "", "five").await?.refused(409, "conflict")?;
    ensure!(refused.detail.contains("has ended"), "{refused:?}");
    guest.gone().await
}

#[tokio::test]
async fn megabytes_of_standard_input_arrive_as_they_were() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect();
    let sum = begun(&guest, "sha256sum", true).await?;
    let answer: Value = send(&guest, &sum, "?end=true", bytes.clone()).await?.expect(200)?.json()?;
    ensure!(answer == json!({ "offset": bytes.len() }), "{answer}");
    let ended = guest.end_of(&sum.id, DEADLINE).await?;
    guest.client().upload(guest.id(), "/home/user/same", bytes).await?.expect(200)?;
    ensure!(ended.ok()? == guest.shell("sha256sum < same").await?.ok()?, "{ended:?}");
    guest.gone().await
}

#[tokio::test]
async fn standard_input_that_is_closed_takes_nothing() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let closed = begun(&guest, "sleep 1000", false).await?;
    let refused = send(&guest, &closed, "", "more").await?.refused(409, "conflict")?;
    ensure!(refused.detail.contains("stdin_open"), "{refused:?}");
    let open = begun(&guest, "sleep 1000", true).await?;
    sent(&guest, &open, "?end=true", "", 0).await?;
    let refused = send(&guest, &open, "", "more").await?.refused(409, "conflict")?;
    ensure!(refused.detail.contains("closed"), "{refused:?}");
    guest.gone().await
}
