//! What a sandbox, and what a server, has at most of at once: the next one is told so, and there is room again as soon
//! as one is closed.

use anyhow::{Context as _, Result, ensure};
use futures::{
    StreamExt as _, TryStreamExt as _,
    future::{join_all, try_join_all},
    stream,
};
use sentinal_tests::{Answer, Execution, Fact, Guest, NewExecution, Said, Socket, eventually, guest};
use tokio::task::JoinHandle;

use crate::{DEADLINE, TURN, all_let_go, room_for, sockets};

/// Connections to the ports of one sandbox.
const CONNECTIONS: usize = 128;
/// WebSockets of one server, as terminals and clients of each.
const WEBSOCKETS: usize = TERMINALS * CLIENTS;
const TERMINALS: usize = 64;
const CLIENTS: usize = 16;
/// How many are opened side by side.
const AT_ONCE: usize = 16;
const REFUSED: &str = "sentinal_gateway_limit_reached_total{limit=\"websockets\"}";

/// Takes every connection and holds it, in silence.
const SERVER: &str = "
import socket
listener, held = socket.create_server(('', 8000), backlog=128), []
while True: held.append(listener.accept())
";

/// A WebSocket whose client is there: pings are answered.
struct Held(JoinHandle<Result<Said>>);

impl Held {
    fn of(mut socket: Socket) -> Self {
        Self(tokio::spawn(async move { socket.next().await }))
    }

    /// Leaves without a word, which it must not have been told first.
    async fn close(self) -> Fact {
        ensure!(!self.0.is_finished(), "it was closed, or something came: {:?}", self.0.await);
        self.0.abort();
        let _ = self.0.await;
        Ok(())
    }
}

async fn all_closed(held: Vec<Held>) -> Fact {
    join_all(held.into_iter().map(Held::close)).await.into_iter().collect()
}

/// The answer to one who asks for a WebSocket and is not to get it.
async fn asked(guest: &Guest, path: &str) -> Result<Answer> {
    let request = guest.client().get(path).header("connection", "upgrade").header("upgrade", "websocket");
    let request = request.header("sec-websocket-version", "13").header("sec-websocket-key", "c2VudGluYWwtdGVzdHM=");
    request.send().await
}

/// A refusal that says what there is too much of, what to do, and when.
fn too_many(answer: &Answer, (status, code): (u16, &str), detail: &str) -> Fact {
    let problem = answer.refused(status, code)?;
    ensure!(problem.detail == detail, "{problem:?}");
    ensure!(answer.headers.get("retry-after").is_some_and(|after| after == "5"), "{:?}", answer.headers);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_has_128_connections_and_not_one_more() -> Fact {
    let _turn = TURN.lock().await;
    if !room_for(CONNECTIONS as u64, "connections to the ports of one sandbox")? {
        return Ok(());
    }
    let (Some(guest), Some(neighbour)) = (listening().await?, listening().await?) else { return Ok(()) };
    let before = sockets(guest.place())?;
    // Twice: what the first round left would be missing in the second.
    for _ in 0..2 {
        let mut held = tunnels(&guest, CONNECTIONS).await?;
        one_more_connection_is_refused(&guest).await?;
        let other = tunnels(&neighbour, 1).await.context("another sandbox has its own")?;
        held.pop().context("a connection")?.close().await?;
        let again = eventually("room for another connection", DEADLINE, || tunnels(&guest, 1)).await?;
        one_more_connection_is_refused(&guest).await?;
        for held in [held, again, other] {
            all_closed(held).await?;
        }
        all_let_go(guest.place(), before).await?;
        eventually("room for a connection", DEADLINE, || tunnel_is_free(&guest)).await?;
    }
    guest.works().await?;
    for guest in [guest, neighbour] {
        guest.gone().await?;
    }
    all_let_go(&sentinal_tests::shared().await?.context("a server")?.place().clone(), before).await
}

/// A sandbox in which something listens.
async fn listening() -> Result<Option<Guest>> {
    let Some(guest) = guest(serde_json::json!({})).await? else { return Ok(None) };
    let server = NewExecution::code("python", SERVER).with("timeout", 300).within(guest.id());
    guest.client().execute_in_background(server).await?;
    eventually("a listener inside", DEADLINE, || tunnel_is_free(&guest)).await?;
    Ok(Some(guest))
}

async fn tunnel_is_free(guest: &Guest) -> Fact {
    all_closed(tunnels(guest, 1).await?).await
}

async fn tunnels(guest: &Guest, count: usize) -> Result<Vec<Held>> {
    let path = format!("/sandbox/{}/tunnel/8000", guest.id());
    let opened = stream::iter((0..count).map(|_| guest.client().socket(&path)));
    opened.buffer_unordered(AT_ONCE).map_ok(Held::of).try_collect().await
}

/// Whichever way it comes, and to whichever port.
async fn one_more_connection_is_refused(guest: &Guest) -> Fact {
    let detail = "128 connections to ports of this sandbox are open, the most there may be; close some";
    for path in ["tunnel/8000", "tunnel/9000", "port/8000/"] {
        let answer = asked(guest, &format!("/sandbox/{}/{path}", guest.id())).await?;
        too_many(&answer, (429, "quota_exceeded"), detail).context(path)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_1024_websockets_and_not_one_more() -> Fact {
    let _turn = TURN.lock().await;
    if !room_for(WEBSOCKETS as u64, "the WebSockets of one server")? {
        return Ok(());
    }
    let Some(guest) = guest(serde_json::json!({"memory": "512Mi"})).await? else { return Ok(()) };
    let (place, refused) = (guest.place().clone(), guest.client().metric(REFUSED).await?);
    let before = sockets(&place)?;
    let terminals: Vec<Vec<Held>> =
        stream::iter((0..TERMINALS).map(|_| terminal(&guest))).buffer_unordered(2).try_collect().await?;
    let mut held: Vec<Held> = terminals.into_iter().flatten().collect();
    ensure!(held.len() == WEBSOCKETS, "{}", held.len());
    one_more_websocket_is_refused(&guest).await?;
    // Nothing was begun for whoever was refused, and all else goes on.
    let running: Vec<Execution> = guest.client().list(&format!("/execution?sandbox_id={}", guest.id())).await?;
    ensure!(running.len() == TERMINALS, "{} executions", running.len());
    guest.works().await?;
    held.pop().context("a WebSocket")?.close().await?;
    let again = eventually("room for another WebSocket", DEADLINE, || attached(&guest, None)).await?.1;
    one_more_websocket_is_refused(&guest).await?;
    ensure!(refused + 4 <= guest.client().metric(REFUSED).await?, "nobody counted the refusals");
    again.close().await?;
    all_closed(held).await?;
    all_let_go(&place, before).await?;
    guest.gone().await
}

/// A terminal with as many clients as it may have.
async fn terminal(guest: &Guest) -> Result<Vec<Held>> {
    let (id, first) = attached(guest, None).await?;
    let more = try_join_all((1..CLIENTS).map(|_| attached(guest, Some(&id)))).await?;
    Ok([first].into_iter().chain(more.into_iter().map(|(_, held)| held)).collect())
}

/// One client of a terminal, or of a new one, that has begun to type.
async fn attached(guest: &Guest, terminal: Option<&str>) -> Result<(String, Held)> {
    let query = terminal.map_or_else(|| "command=cat".to_owned(), |id| format!("execution_id={id}"));
    let mut socket = guest.client().socket(&format!("/sandbox/{}/terminal?{query}", guest.id())).await?;
    let first = socket.notice().await?;
    socket.send("").await?;
    Ok((first["execution_id"].as_str().context("an id")?.to_owned(), Held::of(socket)))
}

async fn one_more_websocket_is_refused(guest: &Guest) -> Fact {
    let detail = "1024 WebSockets are open on this server, the most there may be; close some";
    for path in ["terminal?command=cat", "tunnel/8000"] {
        let answer = asked(guest, &format!("/sandbox/{}/{path}", guest.id())).await?;
        too_many(&answer, (503, "unavailable"), detail).context(path)?;
    }
    Ok(())
}
