//! Clients that are gone after any byte of what they send, and after any byte of what they get.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sentinal_tests::{Client, Execution, Fact, Guest, Sandbox, eventually, guest};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{DEADLINE, TURN, all_let_go, sockets};

/// How long an answer is waited for whose beginning is enough.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);
/// Of a request's head not every byte is worth a connection: these many steps, and every byte around its end.
const HEAD_STEPS: usize = 24;
/// Sandboxes that these clients make are found by it.
const LABEL: &str = "gone";

/// How a client goes.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// As a process that ends: the rest is read as nothing.
    Closed,
    /// As a machine that is switched off and on again: the connection is reset.
    Reset,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_at_any_byte_leaves_nothing() -> Fact {
    let _turn = TURN.lock().await;
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let client = guest.client().clone();
    let before = sockets(guest.place())?;
    for request in requests(&guest) {
        let asked = request.whole(&client);
        for cut in cuts(&asked, request.head_bytes(&client)) {
            for manner in [Manner::Closed, Manner::Reset] {
                let stream = sent(&client, &asked[..cut]).await.with_context(|| request.what.clone())?;
                go(stream, manner)?;
            }
        }
        for read in [0, 1, 17, 100, 400] {
            let mut stream = sent(&client, &asked).await?;
            read_so_much(&mut stream, read).await.with_context(|| request.what.clone())?;
            go(stream, Manner::Reset)?;
        }
        guest.works().await.with_context(|| request.what.clone())?;
    }
    only_what_was_asked_for_is_left(&client, &guest).await?;
    all_let_go(guest.place(), before).await?;
    guest.gone().await
}

/// One request, byte for byte.
struct Asked {
    what: String,
    headers: String,
    body: Vec<u8>,
}

impl Asked {
    fn new(what: String, headers: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { what, headers: headers.to_owned(), body: body.into() }
    }

    fn json(what: String, headers: &str, body: &Value) -> Self {
        Self::new(what, &format!("Content-Type: application/json\r\n{headers}"), body.to_string())
    }

    fn head(&self, client: &Client) -> String {
        let Self { what, headers, body } = self;
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        format!("{what} HTTP/1.1\r\nHost: sentinal\r\n{}{headers}{length}\r\n", client.authorization())
    }

    fn head_bytes(&self, client: &Client) -> usize {
        self.head(client).len()
    }

    fn whole(&self, client: &Client) -> Vec<u8> {
        [self.head(client).as_bytes(), &self.body].concat()
    }
}

fn requests(guest: &Guest) -> Vec<Asked> {
    let (id, api) = (guest.id(), "/api/v1");
    let once = json!({"command": "echo once", "memory": "128Mi", "ttl": 60, "labels": {LABEL: "once"}});
    let create = json!({"memory": "128Mi", "ttl": 60, "labels": {LABEL: "create"}});
    let execute = json!({"sandbox_id": id, "command": "seq 1 10000"});
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let octets = "Content-Type: application/octet-stream\r\n";
    let stream = "Accept: text/event-stream\r\n";
    vec![
        Asked::json(format!("POST {api}/execute"), "", &execute),
        Asked::json(format!("POST {api}/execute"), stream, &execute),
        Asked::json(format!("POST {api}/execute"), "", &once),
        Asked::json(format!("POST {api}/sandbox"), "Idempotency-Key: gone\r\n", &create),
        Asked::new(format!("PUT {api}/sandbox/{id}/files?path=cut"), octets, vec![b'x'; 100_000]),
        Asked::new(format!("GET {api}/sandbox/{id}/files?path=/bin/bash"), "", ""),
        Asked::new(format!("GET {api}/sandbox/{id}/files/archive?path=/etc"), "", ""),
        Asked::new(format!("GET {api}/sandbox/{id}/files/watch?path=/home/user"), stream, ""),
        Asked::new(format!("GET {api}/events"), stream, ""),
        Asked::new(format!("GET {api}/logs?follow=true"), stream, ""),
        Asked::new(format!("GET {api}/sandbox/{id}/terminal?command=cat&timeout=5"), upgrade, ""),
        Asked::new(format!("GET {api}/sandbox/{id}/tunnel/1"), upgrade, ""),
    ]
}

/// Where a request is cut off: here and there, at every byte around the end of its head, and before its last.
fn cuts(whole: &[u8], head: usize) -> Vec<usize> {
    let step = (head / HEAD_STEPS).max(1);
    let here_and_there = (0..head).step_by(step);
    let around_the_end = head.saturating_sub(4)..(head + 4).min(whole.len());
    let mut cuts: Vec<usize> = here_and_there.chain(around_the_end).chain([whole.len() - 1]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

async fn sent(client: &Client, bytes: &[u8]) -> Result<TcpStream> {
    let mut stream = client.connect().await?;
    // It may have been answered, and closed, before all of it was sent.
    let _ = stream.write_all(bytes).await;
    Ok(stream)
}

async fn read_so_much(stream: &mut TcpStream, bytes: usize) -> Result<()> {
    let mut buffer = vec![0; bytes];
    // A stream of events may have less to say, and an answer be shorter.
    let first = buffer.get_mut(..bytes.min(17)).unwrap_or_default();
    if !first.is_empty() {
        timeout(ANSWER_DEADLINE, stream.read_exact(first)).await.context("no answer in time")??;
    }
    let rest = buffer.get_mut(bytes.min(17)..).unwrap_or_default();
    let _ = timeout(Duration::from_millis(20), stream.read_exact(rest)).await;
    Ok(())
}

fn go(stream: TcpStream, manner: Manner) -> Result<()> {
    if matches!(manner, Manner::Reset) {
        stream.set_zero_linger().context("reset a connection")?;
    }
    drop(stream);
    Ok(())
}

/// No sandbox of a one-shot, one for the one key, no program that goes on, and no half of a file.
async fn only_what_was_asked_for_is_left(client: &Client, guest: &Guest) -> Fact {
    let live = |label: &'static str| async move {
        let all: Vec<Sandbox> = client.list(&format!("/sandbox?label={LABEL}={label}&limit=1000")).await?;
        let live = all.into_iter().filter(|sandbox| !["stopped", "failed"].contains(&sandbox.state.as_str()));
        anyhow::Ok(live.map(|sandbox| sandbox.id).collect::<Vec<_>>())
    };
    let settled = || async {
        let (once, created) = (live("once").await?, live("create").await?);
        ensure!(once.is_empty() && created.len() <= 1, "left over: {once:?}, {created:?}");
        let executions: Vec<Execution> = client.list(&format!("/execution?sandbox_id={}", guest.id())).await?;
        let running = executions.iter().filter(|execution| execution.state != "finished").count();
        ensure!(running == 0, "{running} programs go on");
        Ok(())
    };
    eventually("the end of what nobody waits for", DEADLINE, settled).await?;
    for id in live("create").await? {
        client.destroy(&id).await?.expect(200)?;
    }
    let files = guest.shell("ls -A; wc -c < cut").await?.ok()?;
    ensure!(files.ends_with("\n100000\n"), "half of a file is there: {files:?}");
    let parts = guest.shell("ls -A | grep -v -x -e cut -e '\\.bash.*' -e .profile || true").await?.ok()?;
    ensure!(parts.is_empty(), "left over: {parts:?}");
    Ok(())
}
