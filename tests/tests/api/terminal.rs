//! Terminals: who may open one, what is refused, and what is left when a client goes without a word.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use sentinal_tests::{Fact, Guest, Opened, guest};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);

fn path(guest: &Guest, query: &str) -> String {
    format!("/sandbox/{}/terminal?{query}", guest.id())
}

async fn check_refused(guest: &Guest, path: &str, status: u16, code: &str) -> Result<String> {
    let key = guest.client().authorization().trim().trim_start_matches("Authorization: ").to_owned();
    match guest.client().open_socket(path, &[("authorization", key)]).await? {
        Opened::Refused(found, problem) => {
            ensure!((found, &problem["code"]) == (status, &json!(code)), "{path}: {found} {problem}");
            Ok(problem["detail"].as_str().unwrap_or_default().to_owned())
        }
        Opened::Socket(_) => bail!("{path} was opened"),
    }
}

#[tokio::test]
async fn a_terminal_takes_a_key_in_either_of_two_places_and_nothing_else() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let key = guest.client().authorization().trim().trim_start_matches("Authorization: Bearer ").to_owned();
    let path = path(&guest, "command=cat");
    let wrong = [
        None,
        Some(("authorization", "Bearer sntl_no".to_owned())),
        Some(("sec-websocket-protocol", format!("sentinal.v1, sentinal.key.{}", key.replace('_', "-")))),
        Some(("sec-websocket-protocol", "sentinal.v1".to_owned())),
    ];
    for header in wrong {
        let opened = guest.client().open_socket(&path, header.as_slice()).await?;
        ensure!(matches!(opened, Opened::Refused(401, _)), "{header:?}: {opened:?}");
    }
    let offered = [("sec-websocket-protocol", format!("sentinal.v1, sentinal.key.{key}"))];
    let Opened::Socket(mut socket) = guest.client().open_socket(&path, &offered).await? else {
        bail!("refused with a key among the subprotocols")
    };
    socket.send("x\r").await?;
    socket.until("x\r\nx\r\n").await?;
    drop(socket);
    guest.gone().await
}

#[tokio::test]
async fn what_cannot_be_a_terminal_is_told_why() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    for query in ["cols=0", "rows=65536", "cols=x", "timeout=0", "color=1", "user=..", "execution_id=exe_1", "offset=3"]
    {
        check_refused(&guest, &path(&guest, query), 400, "invalid_request").await?;
    }
    let other = guest.shell("true").await?;
    let detail = check_refused(&guest, &path(&guest, &format!("execution_id={}", other.id)), 409, "conflict").await?;
    ensure!(detail.contains("has no terminal"), "{detail}");
    let nobody = "execution_id=exe_0190f5c8e4b07c3e9f6a8d2b4c5e6f70";
    check_refused(&guest, &path(&guest, nobody), 404, "not_found").await?;
    check_refused(&guest, "/sandbox/sbx_0190f5c8e4b07c3e9f6a8d2b4c5e6f70/terminal", 404, "not_found").await?;
    // As any other request it is none.
    let refused = guest.client().get(&path(&guest, "")).send().await?.refused(400, "invalid_request")?;
    ensure!(refused.detail.contains("WebSocket"), "{refused:?}");
    let sleep = guest.shell("true").await?;
    let resize = guest.client().post(&format!("/execution/{}/resize", sleep.id)).json(&json!({"cols": 1, "rows": 1}));
    resize.send().await?.refused(409, "conflict")?;
    guest.gone().await
}

#[tokio::test]
async fn a_client_that_goes_without_a_word_leaves_its_terminal_and_nothing_else() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let mut socket = guest.client().socket(&path(&guest, "command=cat")).await?;
    let first = socket.notice().await?;
    drop(socket);
    for _ in 0..20 {
        drop(
            guest
                .client()
                .socket(&path(&guest, &format!("execution_id={}", first["execution_id"].as_str().unwrap_or_default())))
                .await?,
        );
    }
    // All twenty have been let go, or the last would be refused.
    let mut socket = None;
    for _ in 0..16 {
        let query = format!("execution_id={}", first["execution_id"].as_str().unwrap_or_default());
        socket = Some(guest.client().socket(&path(&guest, &query)).await?);
    }
    if let Some(socket) = &mut socket {
        socket.send("still here\r").await?;
        socket.until("still here\r\nstill here\r\n").await?;
    }
    guest.gone().await
}

#[tokio::test]
async fn a_paused_sandbox_says_so_and_goes_on_later() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let mut socket = guest.client().socket(&path(&guest, "command=cat")).await?;
    socket.send("one\r").await?;
    socket.until("one\r\none\r\n").await?;
    guest.pause().await?.expect(200)?;
    guest.resume().await?.expect(200)?;
    socket.send("two\r").await?;
    socket.until("two\r\ntwo\r\n").await?;
    guest.gone().await
}

#[tokio::test]
async fn a_terminal_is_an_execution_like_any_other() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let mut socket = guest.client().socket(&path(&guest, "command=cat")).await?;
    let first = socket.notice().await?;
    let id = first["execution_id"].as_str().unwrap_or_default().to_owned();
    let execution: Value = guest.client().get(&format!("/execution/{id}")).send().await?.expect(200)?.json()?;
    ensure!(execution["terminal"] == json!({"cols": 80, "rows": 24}), "{execution}");
    let stdin = guest.client().post(&format!("/execution/{id}/stdin")).bytes("application/octet-stream", "typed\r");
    stdin.send().await?.expect(200)?;
    socket.until("typed\r\ntyped\r\n").await?;
    let signal = guest.client().post(&format!("/execution/{id}/signal")).json(&json!({"signal": "SIGHUP"}));
    signal.send().await?.expect(200)?;
    let ended = guest.end_of(&id, DEADLINE).await?;
    ensure!((ended.outcome.as_deref(), ended.signal) == (Some("signaled"), Some(1)), "{ended:?}");
    ensure!(ended.stdout.as_deref() == Some("typed\r\ntyped\r\n"), "{ended:?}");
    guest.gone().await
}
